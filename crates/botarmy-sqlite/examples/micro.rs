//! throwaway
use botarmy_domain::batch::*;
use botarmy_domain::decide::*;
use botarmy_domain::ports::*;
use botarmy_domain::*;
use std::time::Instant;
fn main() {
    let mut b = Batch::default();
    let m0 = Moment { at: Timestamp::from_micros(1_800_000_000_000_000), seed: 1 };
    let p = m0.mint().project();
    let sc = Scope::project(p);
    let w = b.wants([&sc]);
    b.admit(&w, Loaded::default());
    let np = NewProject {
        name: "p".into(),
        description: None,
        workflow: None,
        oversight: Oversight::Low,
    };
    b.decide(&sc, |s| {
        projects::create(s, p, &np, None, m0, &Origin::user("u"), Defaults::default())
    })
    .unwrap();
    b.take_writes();
    let new = NewTask {
        project_id: p,
        agent: AgentType::Coder,
        instructions: "Write the code that does the thing which was asked for, carefully.".into(),
        context_ids: vec![],
        priority: None,
        max_attempts: None,
    };
    for _ in 0..3 {
        let n = 20000u32;
        let (mut td, mut tt) = (0u128, 0u128);
        let mut e = None;
        let mut tk = None;
        for i in 0..n {
            let m = Moment { seed: u128::from(i) + 2, ..m0 };
            let id = m.fork(9).mint().task();
            let t = Instant::now();
            let c = b.decide(&sc, |s| tasks::submit(s, id, &new, m, &Origin::user("u"))).unwrap();
            td += t.elapsed().as_nanos();
            if i % 64 == 0 {
                let t = Instant::now();
                let w = b.take_writes();
                tt += t.elapsed().as_nanos();
                tk = Some(w.tasks[0].clone());
                b = Batch::default();
                let wants = b.wants([&sc]);
                b.admit(
                    &wants,
                    Loaded {
                        heads: w.heads,
                        projects: vec![Project {
                            id: p,
                            name: "p".into(),
                            description: None,
                            oversight: Oversight::Low,
                            state: ProjectState::Active,
                            plan: None,
                            created_at: m0.at,
                            updated_at: m0.at,
                        }],
                        ..Default::default()
                    },
                );
            }
            e = Some(c.entries[0].clone());
        }
        let e = e.unwrap();
        let tk = tk.unwrap();
        println!("decide+append {} ns, take {} ns", td / u128::from(n), tt / u128::from(n));
        let t = Instant::now();
        for _ in 0..n {
            std::hint::black_box(e.seal(&e.hash));
        }
        println!("seal {:?}", t.elapsed() / n);
        let t = Instant::now();
        for _ in 0..n {
            std::hint::black_box(serde_json::to_string(&*e).unwrap());
        }
        println!("entry json {:?}", t.elapsed() / n);
        let t = Instant::now();
        for _ in 0..n {
            std::hint::black_box(serde_json_canonicalizer_like(&e));
        }
        println!("entry to_value {:?}", t.elapsed() / n);
        let t = Instant::now();
        for _ in 0..n {
            std::hint::black_box(canonical_fast(&e));
        }
        println!("canonical fast {:?}", t.elapsed() / n);
        let t = Instant::now();
        for _ in 0..n {
            std::hint::black_box(serde_json::to_string(&*tk).unwrap());
        }
        println!("task json {:?}", t.elapsed() / n);
        let s = serde_json::to_string(&*tk).unwrap();
        println!("{s}");
        println!("{}", serde_json::to_string(&*e).unwrap());
        let t = Instant::now();
        for _ in 0..n {
            std::hint::black_box(serde_json::from_str::<Task>(&s).unwrap());
        }
        println!("task parse {:?}", t.elapsed() / n);
    }
}
fn serde_json_canonicalizer_like(e: &Entry) -> serde_json::Value {
    serde_json::to_value(e).unwrap()
}

pub fn canonical_fast<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let value = serde_json::to_value(value).expect("x");
    let mut out = Vec::with_capacity(1024);
    put(&value, &mut out);
    out
}
fn put(value: &serde_json::Value, out: &mut Vec<u8>) {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            out.push(b'{');
            let mut first = true;
            let mut one = |key: &String, value: &Value, out: &mut Vec<u8>| {
                if !first {
                    out.push(b',');
                }
                first = false;
                serde_json::to_writer(&mut *out, key).expect("x");
                out.push(b':');
                put(value, out);
            };
            if map.keys().is_sorted_by(|a, b| a.encode_utf16().lt(b.encode_utf16())) {
                map.iter().for_each(|(k, v)| one(k, v, out));
            } else {
                let mut all: Vec<_> = map.iter().collect();
                all.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
                all.into_iter().for_each(|(k, v)| one(k, v, out));
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                put(item, out);
            }
            out.push(b']');
        }
        Value::String(text) => serde_json::to_writer(&mut *out, text).expect("x"),
        _ => serde_json::to_writer(&mut *out, value).expect("x"),
    }
}
