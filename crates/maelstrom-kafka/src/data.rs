//! The data folder of a node: where it is, and how it is opened. Never looks into a file.

use std::path::Path;

use straum::{Engine, Found, Options};

/// The engine that keeps its journal in the folder of this node.
///
/// # Errors
/// Why the folder cannot be used, in words. Nothing in it was lost.
pub(crate) fn open_engine(
    data_dir: &Path,
    node_id: &str,
    options: &Options,
) -> Result<Engine, String> {
    let folder = data_dir.join(folder_name(node_id));
    let (mut engine, Found { created, cut, .. }) =
        options.open(&folder).map_err(|why| format!("cannot use {}: {why}", folder.display()))?;
    if created {
        log::info!("{}: a new journal", folder.display());
    }
    if let Some((file, byte)) = cut {
        log::warn!(
            "{}: {file} ends in a torn entry, as a crash leaves it: cut off at byte {byte}; as far as can \
             be told, nothing in it was acknowledged",
            folder.display()
        );
    }
    for remark in engine.remarks() {
        log::warn!("{}: {remark}", folder.display());
    }
    Ok(engine)
}

/// A node id as the name of a folder: as it is if it is plain, else with `%` and two hexadecimal digits
/// for each byte that is not a letter, a digit, `-` or `_`.
fn folder_name(node_id: &str) -> String {
    let name = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    if node_id.is_empty() { "%".into() } else { node_id.bytes().map(name).collect() }
}

#[cfg(test)]
mod tests {
    use super::folder_name;

    #[test]
    fn no_node_id_leads_out_of_the_data_folder() {
        assert_eq!(folder_name("n0"), "n0");
        assert_eq!(folder_name("../n/0"), "%2e%2e%2fn%2f0");
        assert_eq!(folder_name(""), "%");
        assert_ne!(folder_name("é"), folder_name("%c3%a9"));
    }
}
