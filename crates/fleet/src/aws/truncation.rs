//! Refuses answers of EC2 that end too early.
//!
//! The SDK's XML reader takes a document that just stops for a complete one, and would hand out a listing that lacks
//! its last instances: those would look dead. So the document must end with the end of its first element.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// For clients whose answers are XML.
#[derive(Debug)]
pub(crate) struct WholeXml;

impl Intercept for WholeXml {
    fn name(&self) -> &'static str {
        "WholeXml"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if !response.status().is_success() {
            return Ok(()); // an error's fragment is shown as far as it goes
        }
        match response.body().bytes() {
            Some(body) if is_whole(body) => Ok(()),
            Some(body) => Err(format!("the answer stops after {} bytes", body.len()).into()),
            None => Err("the answer was not read".into()),
        }
    }
}

/// Whether a document ends as its first element does.
fn is_whole(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let Some(first) = text.split('<').skip(1).find(|tag| !tag.starts_with(['?', '!'])) else {
        return false;
    };
    let name = first.split([' ', '>', '/', '\n', '\r', '\t']).next().unwrap_or_default();
    let last = text.rsplit('<').next().unwrap_or_default();
    let closes = last.strip_prefix('/').and_then(|end| end.strip_suffix('>')).map(str::trim_end) == Some(name);
    let is_empty_element = std::ptr::eq(first, last) && last.ends_with("/>");
    !name.is_empty() && (closes || is_empty_element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_whole_when_its_first_element_ends() {
        let whole = ["<a/>", "<a></a>", "<?xml version=\"1.0\"?>\n<!-- x -->\n<a x=\"1\"><b/></a >\n", "<a x='1' />"];
        for body in whole {
            assert!(is_whole(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        let body = "<?xml version=\"1.0\"?><ab c=\"1\"><b>ä</b><ab2/></ab>";
        for end in 0..body.len() {
            assert!(!is_whole(&body.as_bytes()[..end]), "{}", String::from_utf8_lossy(&body.as_bytes()[..end]));
        }
    }
}
