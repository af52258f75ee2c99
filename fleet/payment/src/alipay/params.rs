//! Parameters: sorted by name, joined, signed.

use std::collections::BTreeMap;

use url::form_urlencoded;

/// Parameters by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Params(BTreeMap<String, String>);

/// The most parameters of a notice.
const PARAMS_MAX: usize = 100;

impl Params {
    /// Reads a form. `None` where a name stands twice, or there are too many, or a text has an `&`: the signed text would be
    /// that of other parameters, too.
    pub(super) fn parse(form: &[u8]) -> Option<Self> {
        let mut params = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(form) {
            let is_ambiguous = name.contains(['&', '=']) || value.contains('&');
            if is_ambiguous
                || params.len() == PARAMS_MAX
                || params.insert(name.into_owned(), value.into_owned()).is_some()
            {
                return None;
            }
        }
        Some(Self(params))
    }

    /// Adds a parameter; an empty one is left out, as it is of the signed text.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.0.insert(name.to_owned(), value);
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// The text that is signed: `name=value`, by name, joined by `&`, nothing encoded.
    pub(super) fn joined(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    }

    /// As a query. A space is `%20`, which all of Alipay's SDKs read.
    pub(super) fn encoded(&self) -> String {
        let mut serializer = form_urlencoded::Serializer::new(String::new());
        serializer.extend_pairs(&self.0);
        serializer.finish().replace('+', "%20")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_sorted_and_encoded() {
        let mut params = Params::default();
        for (name, value) in [("b", "1 +="), ("a", "订单"), ("c", "")] {
            params.set(name, value);
        }
        assert_eq!(params.joined(), "a=订单&b=1 +=");
        assert_eq!(params.encoded(), "a=%E8%AE%A2%E5%8D%95&b=1%20%2B%3D");
        assert_eq!(Params::parse(params.encoded().as_bytes()), Some(params));
    }

    #[test]
    fn ambiguous_and_endless_forms_are_refused() {
        for form in ["a=1&b=2&a=1", "a=1%26b%3D2", "a%3D1%26b=2", "a%3D=1"] {
            assert_eq!(Params::parse(form.as_bytes()), None, "{form}");
        }
        let many: String = (0..=PARAMS_MAX).map(|n| format!("{n}=x&")).collect();
        assert_eq!(Params::parse(many.as_bytes()), None);
    }
}
