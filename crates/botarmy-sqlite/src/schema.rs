//! The tables as `migrations/sqlite` makes them.

diesel::table! {
    heads (log) {
        log -> Binary,
        seq -> BigInt,
        hash -> Binary,
        counts -> Text,
        next_turn -> BigInt,
    }
}

diesel::table! {
    projects (id) {
        id -> Binary,
        status -> Text,
        creator -> Nullable<Binary>,
        body -> Text,
    }
}

diesel::table! {
    tasks (id) {
        id -> Binary,
        project_id -> Binary,
        agent -> Text,
        status -> Text,
        held -> Bool,
        priority -> BigInt,
        turn_at -> BigInt,
        ready_at -> BigInt,
        lease_expires_at -> Nullable<BigInt>,
        body -> Text,
    }
}

diesel::table! {
    hitl_requests (id) {
        id -> Binary,
        project_id -> Binary,
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
    hitl_people (who, request_id) {
        who -> Text,
        request_id -> Binary,
    }
}

diesel::table! {
    artifacts (id) {
        id -> Binary,
        project_id -> Binary,
        source_agent -> Text,
        artifact_type -> Text,
        digest -> Binary,
        previous -> Nullable<Binary>,
        created_at -> BigInt,
        metadata -> Text,
        content -> Text,
    }
}

diesel::table! {
    packages (project_id) {
        project_id -> Binary,
        generated_at -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    events (position) {
        position -> BigInt,
        id -> Binary,
        log -> Binary,
        seq -> BigInt,
        event_type -> Text,
        event_source -> Text,
        task_id -> Nullable<Binary>,
        hitl_request_id -> Nullable<Binary>,
        created_at -> BigInt,
        hash -> Binary,
        event_metadata -> Text,
        event_data -> Text,
    }
}

diesel::table! {
    emergency_stops (scope) {
        scope -> Text,
        body -> Text,
    }
}

diesel::table! {
    kept_replies (key_digest) {
        key_digest -> Text,
        expires_at -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    key_uses (key_id) {
        key_id -> Binary,
        used_at -> BigInt,
    }
}

diesel::table! {
    webhook_cursors (webhook_id, log) {
        webhook_id -> Binary,
        log -> Binary,
        seq -> BigInt,
        attempts -> BigInt,
    }
}

diesel::table! {
    webhook_deliveries (webhook_id, id) {
        webhook_id -> Binary,
        id -> Binary,
        body -> Text,
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
