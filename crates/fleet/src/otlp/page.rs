//! Reads a page of OpenMetrics as our own registry writes it: one family after the other, its type first.

/// A family of the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Its name, without what its type appends.
    pub name: String,
    /// Its type, as the page names it.
    pub kind: String,
    /// Its meaning.
    pub help: String,
    /// Its lines.
    pub samples: Vec<Sample>,
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What is appended to the family's name (`_total`, `_bucket`).
    pub suffix: String,
    /// In the order of the page.
    pub labels: Vec<(String, String)>,
    /// The number; not a number where nobody knows.
    pub value: f64,
}

/// The families of a page. Lines that make no sense are left out: the registry writes none.
pub fn families(page: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    let mut help = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help).trim_end_matches('.').to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let help = std::mem::take(&mut help);
            families.push(Family { name: name.to_owned(), kind: kind.to_owned(), help, samples: Vec::new() });
        } else if let Some(family) = families.last_mut()
            && let Some(sample) = line.strip_prefix(family.name.as_str()).and_then(sample)
        {
            family.samples.push(sample);
        }
    }
    families
}

/// What follows on the family's name.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (suffix, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            rest = rest.strip_prefix(',').unwrap_or(rest);
            let (name, after) = rest.split_once("=\"")?;
            let (value, after) = unescaped(after)?;
            labels.push((name.to_owned(), value));
            rest = after;
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.trim().split(' ').next()?.parse().ok()?;
    Some(Sample { suffix: suffix.to_owned(), labels, value })
}

/// A label's value up to its quote, and what follows.
fn unescaped(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            char => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_whatever_its_labels_hold() {
        let page = "# HELP a Meaning of a.\n# TYPE a counter\na_total{x=\"1\\\"}\\n\\\\ {\",y=\"\"} 3\n# TYPE b gauge\nb NaN\n# EOF\n";
        let found = families(page);
        assert_eq!((found[0].help.as_str(), found[0].kind.as_str()), ("Meaning of a", "counter"));
        let labels = vec![("x".to_owned(), "1\"}\n\\ {".to_owned()), ("y".to_owned(), String::new())];
        assert_eq!(found[0].samples, [Sample { suffix: "_total".into(), labels, value: 3.0 }]);
        assert!(found[1].samples[0].value.is_nan());
    }

    #[test]
    fn nonsense_is_left_out_and_breaks_nothing() {
        for line in ["a{", "a{x", "a{x=\"", "a{x=\"1\"", "a{x=\"1\"}", "a{x=\"\\", "a", "a x", "{} 1", "b 1"] {
            assert!(families(&format!("# TYPE a gauge\n{line}\n"))[0].samples.is_empty(), "{line}");
        }
    }
}
