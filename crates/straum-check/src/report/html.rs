//! Small pieces of HTML. Never lets a text through that is not escaped.

use std::fmt::Write;

/// A text as content or as a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A list of colours with what they mean: a CSS class and a text each.
pub(super) fn legend(entries: &[(&str, &str)]) -> String {
    let mut html = String::from("<ul class=\"legend\">");
    for (class, text) in entries {
        let _ = write!(html, "<li><i class=\"{}\"></i>{}</li>", escape(class), escape(text));
    }
    html + "</ul>"
}

/// A box with a heading that stays readable on a phone: what is too wide scrolls within it.
pub(super) fn figure(title: &str, legend: &str, content: &str) -> String {
    format!(
        "<figure><figcaption><h3>{}</h3>{legend}</figcaption>\
         <div class=\"scroll\">{content}</div></figure>\n",
        escape(title)
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(
            super::escape("<a href='x'>\"&\u{1b}[0m"),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;\u{fffd}[0m"
        );
    }
}
