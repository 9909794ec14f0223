//! The tables as `migrations/postgres` makes them. JSON columns are read as the text they hold.

diesel::table! {
    heads (log) {
        log -> Uuid,
        seq -> BigInt,
        hash -> Binary,
        previous -> Binary,
        counts -> Text,
        next_turn -> BigInt,
    }
}

diesel::table! {
    projects (id) {
        id -> Uuid,
        status -> Text,
        creator -> Nullable<Uuid>,
        body -> Text,
    }
}

diesel::table! {
    tasks (id) {
        id -> Uuid,
        project_id -> Uuid,
        agent -> Text,
        status -> Text,
        held -> Bool,
        attempt -> Integer,
        priority -> SmallInt,
        turn_at -> BigInt,
        ready_at -> BigInt,
        lease_expires_at -> Nullable<BigInt>,
        body -> Text,
    }
}

diesel::table! {
    hitl_requests (id) {
        id -> Uuid,
        project_id -> Uuid,
        agent -> Nullable<Text>,
        kind -> Text,
        status -> Text,
        expires_at -> BigInt,
        created_at -> BigInt,
        due_at -> Nullable<BigInt>,
        answer_by -> Nullable<BigInt>,
        policy -> Nullable<Text>,
        restricted -> Bool,
        body -> Text,
    }
}

diesel::table! {
    artifacts (id) {
        id -> Uuid,
        project_id -> Uuid,
        source_agent -> Text,
        artifact_type -> Text,
        digest -> Binary,
        previous -> Nullable<Uuid>,
        created_at -> BigInt,
        metadata -> Text,
        content -> Text,
    }
}

diesel::table! {
    packages (project_id) {
        project_id -> Uuid,
        generated_at -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    events (log, seq) {
        id -> Uuid,
        log -> Uuid,
        seq -> BigInt,
        event_type -> Text,
        event_source -> Text,
        task_id -> Nullable<Uuid>,
        hitl_request_id -> Nullable<Uuid>,
        created_at -> BigInt,
        hash -> Binary,
        event_metadata -> Text,
        event_data -> Text,
    }
}

diesel::table! {
    key_uses (key_id) {
        key_id -> Uuid,
        used_at -> BigInt,
    }
}

diesel::table! {
    copies_in_progress (source) {
        source -> Text,
        fingerprint -> Text,
    }
}

diesel::joinable!(tasks -> projects (project_id));
diesel::joinable!(hitl_requests -> projects (project_id));
diesel::allow_tables_to_appear_in_same_query!(projects, tasks, hitl_requests, heads);
