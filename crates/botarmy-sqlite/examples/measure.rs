//! throwaway
use botarmy_domain::decide::*;
use botarmy_domain::ports::*;
use botarmy_domain::*;
use botarmy_sqlite::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static SEED: AtomicU64 = AtomicU64::new(1);
fn moment() -> Moment {
    let n = SEED.fetch_add(1, Ordering::Relaxed);
    #[allow(clippy::disallowed_methods)]
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros()
            as i64;
    Moment {
        at: Timestamp::from_micros(now),
        seed: (n as u128).wrapping_mul(0x9e3779b97f4a7c15f39cc0605cedc835),
    }
}
async fn project(s: &SqliteStore) -> ProjectId {
    let m = moment();
    let id = m.fork(9).mint().project();
    let new = NewProject {
        name: "p".into(),
        description: None,
        workflow: None,
        oversight: Oversight::Low,
    };
    s.transact(
        Scope::project(id),
        Box::new(move |sn| {
            projects::create(sn, id, &new, None, m, &Origin::user("u"), Defaults::default())
        }),
    )
    .await
    .unwrap();
    id
}
async fn submit(s: &SqliteStore, p: ProjectId) -> TaskId {
    let m = moment();
    let id = m.fork(9).mint().task();
    let new = NewTask {
        project_id: p,
        agent: AgentType::Coder,
        instructions: "Write the code that does the thing which was asked for, carefully.".into(),
        context_ids: vec![],
        priority: None,
        max_attempts: None,
    };
    s.transact(
        Scope::project(p),
        Box::new(move |sn| tasks::submit(sn, id, &new, m, &Origin::user("u"))),
    )
    .await
    .unwrap();
    id
}
fn pct(v: &mut Vec<u64>, p: f64) -> u64 {
    v.sort();
    v[((v.len() - 1) as f64 * p) as usize]
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let dir = std::path::PathBuf::from(&args[2]);
    let rt =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut st = SqliteSettings::new(dir.join("m.db"));
    if let Some(n) = std::env::var("CKPT").ok() {
        st.checkpoint_pages = n.parse().unwrap();
    }
    if std::env::var("NORMAL").is_ok() {
        st.synchronous = Synchronous::Normal;
    }
    rt.block_on(async {
        let t = Instant::now();
        let s = SqliteStore::open(st).unwrap();
        println!("open {:?}", t.elapsed());
        match args[1].as_str() {
            "write" => {
                let spread: usize = args.get(3).map_or(1, |n| n.parse().unwrap());
                let mut ps = vec![];
                for _ in 0..spread {
                    ps.push(project(&s).await);
                }
                for clients in [1usize, 16, 64, 64] {
                    let stop = Instant::now() + Duration::from_secs(3);
                    let t = Instant::now();
                    let mut hs = vec![];
                    for c in 0..clients {
                        let s = s.clone();
                        let p = ps[c % spread];
                        hs.push(tokio::spawn(async move {
                            let mut v = vec![];
                            while Instant::now() < stop {
                                let a = Instant::now();
                                submit(&s, p).await;
                                v.push(a.elapsed().as_micros() as u64);
                            }
                            v
                        }));
                    }
                    let mut all = vec![];
                    for h in hs {
                        all.extend(h.await.unwrap());
                    }
                    let n = all.len();
                    println!(
                        "{clients:3} clients: {:.0}/s p50 {} p99 {} max {} us",
                        n as f64 / t.elapsed().as_secs_f64(),
                        pct(&mut all, 0.5),
                        pct(&mut all, 0.99),
                        pct(&mut all, 1.0)
                    );
                }
            }
            "flow" => {
                let p = project(&s).await;
                for clients in [1usize, 16, 64] {
                    let stop = Instant::now() + Duration::from_secs(3);
                    let t = Instant::now();
                    let mut hs = vec![];
                    for c in 0..clients {
                        let s = s.clone();
                        hs.push(tokio::spawn(async move {
                            let mut n = 0u64;
                            while Instant::now() < stop {
                                submit(&s, p).await;
                                let w = task::WorkerId(format!("w{c}"));
                                let got = s
                                    .claim(Claim {
                                        worker: w.clone(),
                                        slots: [(AgentType::Coder, 1)].into(),
                                        lease: Duration::from_secs(300),
                                        moment: moment(),
                                    })
                                    .await
                                    .unwrap();
                                for r in got.rows {
                                    if let Row::Task(t) = r {
                                        let m = moment();
                                        let h =
                                            tasks::Holder { worker: w.clone(), fence: t.attempt };
                                        let id = t.id;
                                        let work = tasks::Work {
                                            output: serde_json::json!({"summary":"done it all"})
                                                .as_object()
                                                .unwrap()
                                                .clone(),
                                            artifacts: vec![],
                                            confidence: None,
                                            usage: Usage::default(),
                                        };
                                        s.transact(
                                            Scope::project(p).task(id),
                                            Box::new(move |sn| {
                                                tasks::complete(
                                                    sn,
                                                    id,
                                                    &h,
                                                    &work,
                                                    m,
                                                    Defaults::default(),
                                                )
                                            }),
                                        )
                                        .await
                                        .unwrap();
                                        n += 1;
                                    }
                                }
                            }
                            n
                        }));
                    }
                    let mut n = 0;
                    for h in hs {
                        n += h.await.unwrap();
                    }
                    println!(
                        "{clients:3} clients: {:.0} tasks/s (submit+claim+complete)",
                        n as f64 / t.elapsed().as_secs_f64()
                    );
                }
            }
            "status" => {
                let p = project(&s).await;
                for _ in 0..10 {
                    submit(&s, p).await;
                }
                let id = submit(&s, p).await;
                for _ in 0..3 {
                    let n = 20000;
                    let t = cpu();
                    for _ in 0..n {
                        s.status(p, 10).await.unwrap().unwrap();
                    }
                    println!("status(10): {:?}", Duration::from_nanos((cpu() - t) / n as u64));
                    let t = cpu();
                    for _ in 0..n {
                        s.task(id).await.unwrap().unwrap();
                    }
                    println!("task: {:?}", Duration::from_nanos((cpu() - t) / n as u64));
                    let t = cpu();
                    for _ in 0..n {
                        s.project(p).await.unwrap().unwrap();
                    }
                    println!("project: {:?}", Duration::from_nanos((cpu() - t) / n as u64));
                    let t = cpu();
                    for _ in 0..n {
                        s.overview(p).await.unwrap().unwrap();
                    }
                    println!("overview: {:?}", Duration::from_nanos((cpu() - t) / n as u64));
                    let t = cpu();
                    for _ in 0..n {
                        s.entries(EntryFilter { project: Some(p), ..Default::default() }, 10)
                            .await
                            .unwrap();
                    }
                    println!("entries(10): {:?}", Duration::from_nanos((cpu() - t) / n as u64));
                    let t = cpu();
                    for _ in 0..n {
                        s.since(LogId::Project(p), 1, 10).await.unwrap();
                    }
                    println!("since(10): {:?}", Duration::from_nanos((cpu() - t) / n as u64));
                }
            }
            "op" => {
                let p = s.projects(None, None, 1).await.unwrap()[0].id;
                let id = s.tasks(p, TaskFilter::default(), 1).await.unwrap()[0].id;
                let n = 20000;
                let t = cpu();
                for _ in 0..n {
                    match args[3].as_str() {
                        "status" => drop(s.status(p, 10).await.unwrap().unwrap()),
                        "task" => drop(s.task(id).await.unwrap().unwrap()),
                        "overview" => drop(s.overview(p).await.unwrap()),
                        "since" => drop(s.since(LogId::Project(p), 1, 10).await.unwrap()),
                        "entries" => drop(
                            s.entries(EntryFilter { project: Some(p), ..Default::default() }, 10)
                                .await
                                .unwrap(),
                        ),
                        _ => drop(s.project(p).await.unwrap()),
                    }
                }
                println!("{} {:?}", args[3], Duration::from_nanos((cpu() - t) / n as u64));
            }
            "fill" => {
                let many: usize = args[3].parse().unwrap();
                let spread: usize = args[4].parse().unwrap();
                let mut ps = vec![];
                for _ in 0..spread {
                    ps.push(project(&s).await);
                }
                let ps = Arc::new(ps);
                let left = Arc::new(AtomicU64::new(many as u64));
                let t = Instant::now();
                let mut hs = vec![];
                for c in 0..256 {
                    let s = s.clone();
                    let ps = ps.clone();
                    let left = left.clone();
                    hs.push(tokio::spawn(async move {
                        let mut i = c;
                        while left.fetch_sub(1, Ordering::Relaxed) < (1 << 60)
                            && left.load(Ordering::Relaxed) < (1 << 60)
                        {
                            submit(&s, ps[i % ps.len()]).await;
                            i += 7;
                        }
                    }));
                }
                for h in hs {
                    h.await.unwrap();
                }
                println!("{many} in {:?}", t.elapsed());
                println!("project {}", ps[spread / 2]);
            }
            "audit" => {
                let all = s.projects(None, None, 2000).await.unwrap();
                let p = all[all.len() / 2].id;
                let mid = s.since(LogId::Project(p), 0, 1).await.unwrap()[0].created_at;
                let f = EntryFilter::default();
                let cases = [
                    ("none", f.clone()),
                    ("project", EntryFilter { project: Some(p), ..f.clone() }),
                    (
                        "type common",
                        EntryFilter { event_type: Some(EventType::TaskCreated), ..f.clone() },
                    ),
                    (
                        "type rare",
                        EntryFilter { event_type: Some(EventType::ProjectCreated), ..f.clone() },
                    ),
                    (
                        "type none",
                        EntryFilter { event_type: Some(EventType::ProjectHalted), ..f.clone() },
                    ),
                    (
                        "project+type common",
                        EntryFilter {
                            project: Some(p),
                            event_type: Some(EventType::TaskCreated),
                            ..f.clone()
                        },
                    ),
                    (
                        "project+type rare",
                        EntryFilter {
                            project: Some(p),
                            event_type: Some(EventType::ProjectCreated),
                            ..f.clone()
                        },
                    ),
                    (
                        "source user",
                        EntryFilter { event_source: Some(EventSource::User), ..f.clone() },
                    ),
                    (
                        "source webhook",
                        EntryFilter { event_source: Some(EventSource::Webhook), ..f.clone() },
                    ),
                    (
                        "to early",
                        EntryFilter { to: Some(mid.after(Duration::from_millis(50))), ..f.clone() },
                    ),
                    (
                        "from,to",
                        EntryFilter {
                            from: Some(mid),
                            to: Some(mid.after(Duration::from_millis(500))),
                            ..f.clone()
                        },
                    ),
                    (
                        "project to early",
                        EntryFilter {
                            project: Some(p),
                            to: Some(mid.after(Duration::from_millis(50))),
                            ..f.clone()
                        },
                    ),
                    (
                        "type+from",
                        EntryFilter {
                            event_type: Some(EventType::TaskCreated),
                            to: Some(mid),
                            ..f.clone()
                        },
                    ),
                    ("offset 100000", EntryFilter { offset: 100000, ..f.clone() }),
                    (
                        "task",
                        EntryFilter {
                            task: Some(s.tasks(p, TaskFilter::default(), 1).await.unwrap()[0].id),
                            ..f.clone()
                        },
                    ),
                ];
                for (n, f) in cases {
                    s.entries(f.clone(), 100).await.unwrap();
                    let t = Instant::now();
                    let r = s.entries(f, 100).await.unwrap();
                    println!("{n:22} {:?} rows {}", t.elapsed(), r.len());
                }
                let t = Instant::now();
                println!("backlog {} {:?}", s.backlog().await.unwrap(), t.elapsed());
                let t = Instant::now();
                let mut after = 0;
                let mut v = log::Verifier::default();
                loop {
                    let r = s.since(LogId::Project(p), after, 1000).await.unwrap();
                    if r.is_empty() {
                        break;
                    }
                    after += r.len() as u64;
                    r.iter().for_each(|e| v.next(e));
                }
                let h = s.head(LogId::Project(p)).await.unwrap().unwrap();
                println!("verify {after} {:?} {:?}", t.elapsed(), v.finish(&h).valid);
                let w = task::WorkerId("w".into());
                for k in [1u32, 10] {
                    let t = Instant::now();
                    let got = s
                        .claim(Claim {
                            worker: w.clone(),
                            slots: [(AgentType::Coder, k)].into(),
                            lease: Duration::from_secs(300),
                            moment: moment(),
                        })
                        .await
                        .unwrap();
                    println!("claim {k}: {} {:?}", got.entries.len(), t.elapsed());
                }
            }
            _ => {}
        }
        s.close().await;
    });
}

fn cpu() -> u64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}
