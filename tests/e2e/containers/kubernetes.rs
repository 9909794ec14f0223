//! The example for Kubernetes in `docs/deploying.md`, on the image and without a cluster: each container
//! of it is started with exactly its settings, and the probes are made as a kubelet makes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use botarmy_tests::server::bare_client_builder;
use botarmy_tests::services::{PostgresServer, RedisServer};
use serde_json::{Value, json};

use super::container::{self, Network, Plan};
use super::image::Image;
use super::{get, line};
use crate::documentation::{blocks, read};

/// Address of a pod, which a probe without the header would name.
const POD: &str = "10.244.0.7:8080";

/// Returns the objects of the example, by kind and name.
fn objects() -> BTreeMap<String, Value> {
    let example = blocks(&read("docs/deploying.md"), "yaml").concat();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&example).unwrap();
    let name = |object: &Value| {
        let kind = object["kind"].as_str().unwrap();
        format!("{kind} {}", object["metadata"]["name"].as_str().unwrap())
    };
    objects.into_iter().map(|object| (name(&object), object)).collect()
}

fn strings(list: &Value) -> Vec<String> {
    let words = list.as_array().into_iter().flatten();
    words.map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// A pod of the example, with its only container.
struct Pod<'a> {
    spec: &'a Value,
    container: &'a Value,
}

impl<'a> Pod<'a> {
    fn of(object: &'a Value) -> Self {
        let spec = &object["spec"]["template"]["spec"];
        assert_eq!(spec["containers"].as_array().unwrap().len(), 1);
        Self { spec, container: &spec["containers"][0] }
    }

    /// Returns the variables of the container, with those of the Secret.
    fn env(&self, secret: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        assert_eq!(self.container["envFrom"], json!([{"secretRef": {"name": "botarmy"}}]));
        let mut env = secret.clone();
        for variable in self.container["env"].as_array().into_iter().flatten() {
            let value = variable["value"].as_str().expect("a string, as Kubernetes wants it");
            env.insert(variable["name"].as_str().unwrap().to_owned(), value.to_owned());
        }
        env
    }

    /// Makes the volume that is mounted as that of the image.
    fn volume(&self, image: &Image, files: &Path, folder: &Path) -> PathBuf {
        let mounts = self.container["volumeMounts"].as_array();
        let Some([mount]) = mounts.map(Vec::as_slice) else {
            // The image has one of its own.
            return container::volume_of_image(image, files, folder);
        };
        assert_eq!(mount["mountPath"], image.volume);
        let volumes = self.spec["volumes"].as_array().unwrap();
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
        let group = self.spec["securityContext"]["fsGroup"].as_u64().unwrap();
        assert_eq!(group, u64::from(image.user.1), "the server is in this group");
        let (name, mode) =
            if volume["emptyDir"].is_object() { ("empty", 0o777) } else { ("claim", 0o755) };
        container::volume_of_group(folder, name, image.user.1, mode)
    }

    fn plan<'b>(&self, mut plan: Plan<'b>, secret: &BTreeMap<String, String>) -> Plan<'b> {
        let context = &self.container["securityContext"];
        plan.env = self.env(secret);
        plan.command = strings(&self.container["args"]);
        plan.read_only = context["readOnlyRootFilesystem"] == true;
        plan.names = &["db.example", "redis.example"];
        plan
    }

    /// Returns the path of a probe and the host that it names.
    fn probe(&self, name: &str) -> (&str, &str) {
        let request = &self.container[name]["httpGet"];
        assert_eq!(request["port"], self.container["ports"][0]["name"], "{name}");
        let headers = request["httpHeaders"].as_array().map(Vec::as_slice);
        let Some([header]) = headers else { panic!("{name} has no header, or several") };
        assert_eq!(header["name"], "Host", "{name}");
        (request["path"].as_str().unwrap(), header["value"].as_str().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_image_runs_with_the_settings_of_the_example_for_kubernetes() {
    let Some(bwrap) = container::bwrap() else { return };
    let (postgres, _) = PostgresServer::with_database(&[]).await.expect("it is where bwrap is");
    let redis = RedisServer::start().await.expect("it is where bwrap is");
    let (image, files, objects) = (Image::read(), Image::assemble(&bwrap), objects());
    assert!(image.user.0 > 0, "runAsNonRoot refuses the image");
    let folder = container::volumes();
    let network = Network::new(&bwrap);
    network.reach(5432, postgres.port());
    network.reach(6379, redis.port());
    let (client, base) = (bare_client_builder().build().unwrap(), network.publish(image.port));
    let empty = folder.path().join("none");
    std::fs::create_dir(&empty).unwrap();
    // The Secret: the addresses that the guide begins with, and a key.
    let mut generate = Plan::new(&bwrap, &image, files.path(), &network, &empty);
    generate.command = ["keys", "generate"].map(str::to_owned).into();
    let key = line(&generate.run());
    let text = read("docs/deploying.md");
    let address = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
        line.unwrap().to_owned()
    };
    let mut secret = BTreeMap::from([("BOTARMY_ACCESS__FIRST_KEY".to_owned(), key.clone())]);
    secret.insert("BOTARMY_STORE__URL".to_owned(), address("BOTARMY_STORE__URL"));
    // This Redis has no password.
    let redis = address("BOTARMY_REDIS__URL").replace(":PASSWORD@", "");
    secret.insert("BOTARMY_REDIS__URL".to_owned(), redis);

    let job = Pod::of(&objects["Job botarmy-migrate-v2"]);
    let volume = job.volume(&image, files.path(), folder.path());
    let plan = Plan::new(&bwrap, &image, files.path(), &network, &volume);
    let migrated = job.plan(plan, &secret).run();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));

    for (name, reads) in [("Deployment botarmy-api", 200), ("Deployment botarmy-worker", 404)] {
        let object = &objects[name];
        let selected = &object["spec"]["selector"]["matchLabels"];
        assert_eq!(*selected, object["spec"]["template"]["metadata"]["labels"], "{name}");
        let pod = Pod::of(object);
        assert_eq!(pod.spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod.container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(pod.container["securityContext"]["allowPrivilegeEscalation"], false);
        assert_eq!(pod.container["ports"][0]["containerPort"], image.port);
        let volume = pod.volume(&image, files.path(), folder.path());
        let plan = Plan::new(&bwrap, &image, files.path(), &network, &volume);
        let plan = pod.plan(plan, &secret);
        let replica = plan.start().await;
        assert_eq!(replica.writable(), [image.volume.as_str()], "{name}");
        let mut own = "";
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let (path, host) = pod.probe(probe);
            let (status, said) = get(&client, &base, host, "", path).await;
            assert_eq!(status, 200, "{name}, {probe}: {said}");
            let (status, said) = get(&client, &base, POD, "", path).await;
            assert_eq!(status, 421, "{name}, {probe}: {said}");
            own = host;
        }
        let status = get(&client, &base, own, &key, "/api/v1/access/me").await.0;
        assert_eq!(status, reads, "{name}");
        let status = get(&client, &base, own, "", "/api/v1/access/me").await.0;
        assert_eq!(status, 401, "{name}");

        // A pod ends like this: the pause, then SIGTERM, all within the time for both.
        let grace = pod.spec["terminationGracePeriodSeconds"].as_u64().unwrap();
        let pause = strings(&pod.container["lifecycle"]["preStop"]["exec"]["command"]);
        let begun = std::time::Instant::now();
        if !pause.is_empty() {
            assert!(replica.exec(&pause).status.success(), "{pause:?}");
        }
        let paused = begun.elapsed();
        let shutdown = replica_settings(&plan).http.shutdown_timeout_s;
        assert!(Duration::from_secs(grace) > paused + Duration::from_secs(shutdown), "{name}");
        assert_eq!(replica.stop().await.0, Some(0), "{name}");
    }
}

/// Returns the settings of a replica.
fn replica_settings(plan: &Plan<'_>) -> botarmy_server::Settings {
    let mut env = plan.image.env.clone();
    env.extend(plan.env.clone());
    botarmy_server::Settings::load(None, env).unwrap()
}
