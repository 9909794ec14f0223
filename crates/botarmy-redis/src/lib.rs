//! What several replicas share in the moment: news, wake-ups, the agent status board.
