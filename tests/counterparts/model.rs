//! A whole project that a real model does.

use serde_json::json;

use crate::model_server::ModelServer;

#[tokio::test]
async fn placeholder() {
    let schema = json!({"type": "object"});
    let Some(model) = ModelServer::start(&schema).await else { return };
    assert!(model.base.starts_with("http"), "{}", model.program.said());
}
