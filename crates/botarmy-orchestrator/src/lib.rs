//! botarmy-orchestrator
