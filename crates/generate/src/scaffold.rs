//! Placeholders for those without a model.

use testsmith_domain::{
    BodyGenerator, BodyRequest, BodySink, BoxFuture, GenerateError, Generated, TestBody,
};

/// Draws, from a member's signature, a test that compiles, is skipped and says that it waits for a
/// model. It asks nobody and costs nothing, so its bodies are never kept as answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScaffoldGenerator;

impl ScaffoldGenerator {
    /// What its bodies name as their model.
    pub const MODEL: &'static str = "scaffold";
}

impl BodyGenerator for ScaffoldGenerator {
    fn generate<'a>(
        &'a self,
        request: &'a BodyRequest,
        _sink: &'a dyn BodySink,
    ) -> BoxFuture<'a, Result<Generated, GenerateError>> {
        let bodies = request
            .members
            .first()
            .map(|member| TestBody {
                member: member.name.clone(),
                code: request.driver.scaffold(&request.file, member),
                model: Self::MODEL.to_owned(),
            })
            .into_iter()
            .collect();
        Box::pin(std::future::ready(Ok(Generated {
            bodies,
            ..Generated::default()
        })))
    }

    fn cacheable(&self) -> bool {
        false
    }
}
