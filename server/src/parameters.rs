//! The parameters of a request, read strictly: a name that is not known, or that comes twice where once is meant, is refused,
//! so that a slip of the pen does not become an answer to another question.

use url::form_urlencoded;

use crate::problem::Problem;

/// What stands after the question mark.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// `once` are the names that may come once, `often` those that may come again.
    ///
    /// # Errors
    /// A name is not known, or comes too often.
    pub fn read(query: Option<&str>, once: &[&str], often: &[&str]) -> Result<Parameters, Problem> {
        let mut given: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if once.contains(&name.as_ref()) {
                if given.iter().any(|(known, _)| *known == name) {
                    return Err(Problem::bad_request(format!("The parameter `{name}` comes more than once.")));
                }
            } else if !often.contains(&name.as_ref()) {
                return Err(Problem::unknown("parameter", &name, once.iter().chain(often).copied()));
            }
            given.push((name.into_owned(), value.into_owned()));
        }
        Ok(Parameters(given))
    }

    /// The value of a parameter; an empty one is none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values().find(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values().filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_or_comes_twice_is_refused() {
        let read = |query| Parameters::read(Some(query), &["days", "zone"], &["filter"]);
        let read_well = read("days=7&filter=a%3Ab&zone=&filter=c").expect("good parameters");
        assert_eq!((read_well.get("days"), read_well.get("zone"), read_well.get("limit")), (Some("7"), None, None));
        assert_eq!(read_well.all("filter").collect::<Vec<_>>(), ["a:b", "c"]);
        let why = |query| format!("{:?}", read(query).expect_err("refused"));
        assert!(why("day=7").contains("`day` is not a parameter; there are days, zone, filter."));
        assert!(why("days=7&days=8").contains("more than once"));
        assert!(Parameters::read(None, &[], &[]).is_ok());
    }
}
