//! Contract of the status board, in addition to the derivation in `reads` and `edges`.

use botarmy_domain::decide::agents;
use botarmy_domain::{AgentStatusKind, AgentType, Scope};

use crate::stores::Stores;

pub use crate::edges::an_agent_stays_in_error_until_it_is_cleared_or_answered;
pub use crate::reads::agents_are_derived_and_remembered;

pub async fn every_agent_type_has_a_status_in_order(stores: &Stores) {
    let all = stores.agents.statuses().await.unwrap();
    assert_eq!(all.iter().map(|record| record.agent_type).collect::<Vec<_>>(), AgentType::ALL);
    for record in all {
        assert_eq!(record.status, AgentStatusKind::Idle);
        assert_eq!(stores.agents.status_of(record.agent_type).await.unwrap(), record);
    }
}

pub async fn a_status_change_is_visible_to_its_author(stores: &Stores) {
    for n in 0..200 {
        let agent = AgentType::ALL[n % AgentType::ALL.len()];
        let context = stores.context();
        let now = context.now;
        let sweep = move |snapshot: &_| agents::reset(&context, snapshot);
        stores.run(Scope::agent(agent), sweep).await.unwrap();
        let record = stores.agents.status_of(agent).await.unwrap();
        assert_eq!(record.cleared_at, Some(now), "{n}");
        let all = stores.agents.statuses().await.unwrap();
        assert!(all.contains(&record), "{n}");
        let history = stores.agents.history(agent, None, 1).await.unwrap();
        assert_eq!(history.iter().map(|past| &past.record).collect::<Vec<_>>(), [&record]);
    }
}
