//! A letter's words as HTML: the same as in the text, around which a template puts what looks.

use std::sync::LazyLock;

use minijinja::{Environment, context};

/// Escapes all that is put into it, because its name ends so.
const TEMPLATE: &str = "letter.html";

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    let added = templates.add_template(TEMPLATE, include_str!("letter.html"));
    added.expect("the template is ours");
    templates
});

/// `news` is in paragraphs, apart by an empty line; one that is the `link` alone leads there.
pub(super) fn html(subject: &str, name: &str, news: &str, link: &str) -> String {
    let paragraphs: Vec<&str> = news.split("\n\n").collect();
    let facts = context! { subject, name, paragraphs, link };
    let template = TEMPLATES.get_template(TEMPLATE).expect("it was added");
    template.render(facts).expect("it is given all it names")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_customers_write_is_text_and_nothing_else() {
        let page = html("A <b>", "<script>alert(1)</script>", "you & \"I\"", "");
        assert!(page.contains("<title>A &lt;b&gt;</title>"), "{page}");
        assert!(page.contains("<p>Dear &lt;script&gt;alert(1)&lt;&#x2f;script&gt;,</p>"), "{page}");
        assert!(page.contains("<p>you &amp; &quot;I&quot;</p>"), "{page}");
    }

    #[test]
    fn a_link_leads_where_it_says() {
        let link = "https://shop.example/verify#u-1.verify.1.a-b_c";
        let page = html("s", "Ann", &format!("please:\n\n{link}\n\nGood\nfor a week."), link);
        let shown = link.replace('/', "&#x2f;");
        assert!(page.contains(&format!("<p><a href=\"{shown}\">{shown}</a></p>")), "{page}");
        assert!(page.contains("<p>Good\nfor a week.</p>"), "{page}");
    }
}
