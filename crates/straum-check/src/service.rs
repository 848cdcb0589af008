//! The services that Maelstrom offers to nodes: three key-value stores and a timestamp oracle, as its
//! `doc/services.md` describes them. Never reads a clock and never sends: requests in, replies out.

mod eventual;
mod json;
mod linearizable;
mod request;
mod sequential;

use crate::network::{Address, Service};

use eventual::Eventual;
use linearizable::Linearizable;
use request::{Refusal, Reply, Request};
use sequential::Sequential;

/// All services of a run. The same requests with the same seed give the same replies.
#[derive(Debug)]
pub(crate) struct Services {
    lin_kv: Linearizable,
    seq_kv: Sequential,
    lww_kv: Eventual,
    /// The timestamp that `lin-tso` gives next.
    next_timestamp: u64,
}

impl Services {
    /// Services that hold nothing; timestamps begin at 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            lin_kv: Linearizable::default(),
            seq_kv: Sequential::new(seed),
            lww_kv: Eventual::new(seed.wrapping_add(1)),
            next_timestamp: 0,
        }
    }

    /// Carries out a request and gives the body of the reply, as JSON.
    ///
    /// None if the request has no integer `msg_id` that a reply could refer to. It is carried out
    /// even so: a node may not care for the answer.
    pub(crate) fn handle(&mut self, service: Service, src: Address, body: &str) -> Option<String> {
        let (msg_id, request) = request::read(body);
        let reply = request
            .and_then(|request| self.carry_out(service, src, request))
            .unwrap_or_else(Reply::Error);
        msg_id.map(|msg_id| reply.to_body(msg_id))
    }

    /// The body of an error instead of a reply; nothing is carried out.
    pub(crate) fn refuse(body: &str, code: u32, text: &str) -> Option<String> {
        let (msg_id, _) = request::read(body);
        msg_id.map(|msg_id| Reply::Error(Refusal::new(code, text)).to_body(msg_id))
    }

    fn carry_out(
        &mut self,
        service: Service,
        src: Address,
        request: Request,
    ) -> Result<Reply, Refusal> {
        match (service, request) {
            (Service::LinKv, Request::Access { key, access }) => {
                Ok(self.lin_kv.apply(key, &access))
            }
            (Service::SeqKv, Request::Access { key, access }) => {
                Ok(self.seq_kv.apply(src, key, &access))
            }
            (Service::LwwKv, Request::Access { key, access }) => {
                Ok(self.lww_kv.apply(key, &access))
            }
            (Service::LinTso, Request::Timestamp) => Ok(self.give_timestamp()),
            (service, _) => Err(Refusal::not_supported(service)),
        }
    }

    fn give_timestamp(&mut self) -> Reply {
        self.next_timestamp += 1;
        Reply::Timestamp(self.next_timestamp - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N0: Address = Address::Node(0);
    const KEY_VALUE: [Service; 3] = [Service::LinKv, Service::SeqKv, Service::LwwKv];

    fn ask(services: &mut Services, service: Service, body: &str) -> String {
        services.handle(service, N0, body).unwrap()
    }

    /// A session with a key-value store: requests and the replies that they must get.
    fn tell(service: Service, session: &[(&str, &str)]) {
        let mut services = Services::new(1);
        for (request, expected) in session {
            let request = format!("{{\"msg_id\":9,{request}}}");
            let expected = format!("{{{expected},\"in_reply_to\":9}}");
            assert_eq!(ask(&mut services, service, &request), expected, "{request}");
        }
    }

    const MISSING: &str = r#""type":"error","code":20,"text":"key does not exist""#;

    #[test]
    fn what_one_client_writes_it_reads() {
        for service in [Service::LinKv, Service::SeqKv] {
            tell(
                service,
                &[
                    (r#""type":"read","key":"x""#, MISSING),
                    (r#""type":"write","key":"x","value":[1, null]"#, r#""type":"write_ok""#),
                    (r#""type":"read","key":"x""#, r#""type":"read_ok","value":[1, null]"#),
                    (r#""type":"write","key":"x","value":null"#, r#""type":"write_ok""#),
                    (r#""type":"read","key":"x""#, r#""type":"read_ok","value":null"#),
                ],
            );
        }
    }

    #[test]
    fn a_value_is_exchanged_only_for_the_one_that_is_there() {
        tell(
            Service::LinKv,
            &[
                (r#""type":"cas","key":"x","from":1,"to":2"#, MISSING),
                (
                    r#""type":"cas","key":"x","from":1,"to":2,"create_if_not_exists":true"#,
                    r#""type":"cas_ok""#,
                ),
                (
                    r#""type":"cas","key":"x","from":1,"to":{"a":1,"b":"é"}"#,
                    r#""type":"error","code":22,"text":"current value 2 is not 1""#,
                ),
                (r#""type":"cas","key":"x","from":2,"to":{"a":1,"b":"é"}"#, r#""type":"cas_ok""#),
                (
                    r#""type":"cas","key":"x","from":{ "b":"\u00e9", "a":1 },"to":4"#,
                    r#""type":"cas_ok""#,
                ),
                (r#""type":"read","key":"x""#, r#""type":"read_ok","value":4"#),
            ],
        );
    }

    #[test]
    fn keys_are_compared_as_json_values() {
        let written = r#""type":"write_ok""#;
        tell(
            Service::LinKv,
            &[
                (r#""type":"write","key":1,"value":"number""#, written),
                (r#""type":"write","key":"1","value":"string""#, written),
                (r#""type":"write","key":{"a":1,"b":[]},"value":"object""#, written),
                (r#""type":"read","key":1"#, r#""type":"read_ok","value":"number""#),
                (r#""type":"read","key":"\u0031""#, r#""type":"read_ok","value":"string""#),
                (r#""type":"read","key":{ "b":[ ],"a":1}"#, r#""type":"read_ok","value":"object""#),
                (r#""type":"read","key":null"#, MISSING),
            ],
        );
    }

    #[test]
    fn timestamps_count_up_whoever_asks() {
        let mut services = Services::new(1);
        for expected in 0..3 {
            let reply = ask(&mut services, Service::LinTso, r#"{"type":"ts","msg_id":-1}"#);
            assert_eq!(
                reply,
                format!("{{\"type\":\"ts_ok\",\"ts\":{expected},\"in_reply_to\":-1}}")
            );
        }
    }

    #[test]
    fn a_request_that_makes_no_sense_is_refused_with_the_code_for_it() {
        let mut services = Services::new(1);
        for (service, request, code) in [
            (Service::LinKv, r#""type":"delete","key":1"#, 10),
            (Service::LinKv, r#""type":"ts""#, 10),
            (Service::LinTso, r#""type":"read","key":1"#, 10),
            (Service::LinKv, r#""key":1"#, 12),
            (Service::LinKv, r#""type":7,"key":1"#, 12),
            (Service::LinKv, r#""type":"read""#, 12),
            (Service::LinKv, r#""type":"read","key":1,"key":2"#, 12),
            (Service::LinKv, r#""type":"write","key":1"#, 12),
            (Service::LinKv, r#""type":"cas","key":1,"from":1"#, 12),
            (
                Service::LinKv,
                r#""type":"cas","key":1,"from":1,"to":2,"create_if_not_exists":"yes""#,
                12,
            ),
        ] {
            let reply = ask(&mut services, service, &format!("{{{request},\"msg_id\":1}}"));
            assert!(reply.contains(&format!("\"code\":{code},")), "{request}: {reply}");
        }
    }

    #[test]
    fn without_a_message_id_a_request_is_carried_out_and_not_answered() {
        for id in ["", r#""msg_id":"a","#, r#""msg_id":1.5,"#] {
            let mut services = Services::new(1);
            let write = format!(r#"{{{id}"type":"write","key":"x","value":1}}"#);
            assert_eq!(services.handle(Service::LinKv, N0, &write), None);
            let read = r#"{"type":"read","key":"x","msg_id":1}"#;
            assert!(ask(&mut services, Service::LinKv, read).contains("\"value\":1"));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_replies() {
        let run = |seed| {
            let mut services = Services::new(seed);
            let mut replies = Vec::new();
            for round in 0..200 {
                let src = Address::Node(round % 3);
                let body = format!(r#"{{"type":"read","key":{},"msg_id":1}}"#, round % 2);
                replies.extend(KEY_VALUE.map(|service| services.handle(service, src, &body)));
                let body =
                    format!(r#"{{"type":"write","key":{},"value":{round},"msg_id":1}}"#, round % 2);
                replies.extend(KEY_VALUE.map(|service| services.handle(service, N0, &body)));
            }
            replies
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }
}
