//! No sequence of permitted calls gives callers a permission that none of them held. Several callers work
//! together: each uses every key that one of them has received, and what counts is what all of their keys
//! permit together.

use std::collections::BTreeSet;
use std::time::Duration;

use botarmy_domain::ports::{
    Access, IssuedKey, Lifetime, NewKey, NewPrincipal, PrincipalChange, Projects,
};
use botarmy_domain::{
    Caller, CredentialId, Error, Grant, GrantTarget, NewProject, Oversight, Permission, Place,
    PrincipalId, PrincipalKind, ProjectId, Role,
};
use botarmy_tests::dice::Dice;
use botarmy_tests::prove::count;

use super::{Guarded, cli, id_of};

/// Sequences in every test run, and in the long form.
const SEQUENCES: (u32, u32) = (60, 10_000);
/// Calls of a sequence.
const CALLS: u32 = 60;

/// A place where permissions are compared. Projects that the callers create themselves are none.
type Probe = (String, Place);

/// Everything that a sequence works with.
struct Game {
    guarded: Guarded,
    /// Keys that the callers have, as the callers that they make.
    keys: Vec<String>,
    principals: Vec<PrincipalId>,
    credentials: Vec<CredentialId>,
    projects: Vec<ProjectId>,
    probes: Vec<Probe>,
    names: u32,
}

fn one<T: Copy>(dice: &mut Dice, of: &[T]) -> T {
    of[dice.below(of.len() as u64) as usize]
}

impl Game {
    async fn new(dice: &mut Dice) -> Self {
        let guarded = Guarded::new().await;
        let engine = &guarded.harness.engine;
        // Another administrator, so that the rule about the last one hides nothing.
        let victim = guarded.person("root", &[Grant::on_all(Role::Admin)]).await;
        let maker = guarded.person("maker", &[Grant::on_own(Role::Operator)]).await;
        let (mut projects, mut probes) = (Vec::new(), Vec::new());
        for (n, by) in [cli(), victim.clone(), maker.clone()].into_iter().enumerate() {
            let project = engine.create_project(new_project(), by).await.unwrap();
            projects.push(project.id);
            let place = Place::Project { id: project.id, creator: project.creator };
            probes.push((format!("project {n}"), place));
        }
        let unknown = ProjectId::from_uuid(uuid::Uuid::from_u128(0x7777));
        probes.push((
            "a project of another".to_owned(),
            Place::Project { id: unknown, creator: victim.principal() },
        ));
        probes.push(("a new project".to_owned(), Place::NewProject));
        probes.push(("the installation".to_owned(), Place::Installation));
        let principals = vec![id_of("root"), id_of("maker")];
        let credentials = [victim, maker].iter().map(|one| one.credential().unwrap()).collect();
        let (keys, names) = (Vec::new(), 0);
        let mut game = Self { guarded, keys, principals, credentials, projects, probes, names };
        // The callers: some are administrators of a part, some with a key that is narrowed.
        for n in 0..2 + dice.below(3) {
            let grants = game.any_grants(dice);
            let name = format!("mallory {n}");
            let key = game.guarded.key_of(&name, PrincipalKind::Person, &grants).await;
            if dice.below(2) == 0 {
                let narrowed = Some(game.any_grants(dice));
                let (_, key) = game.guarded.another_key(id_of(&name), narrowed).await;
                game.keys.push(key);
            } else {
                game.keys.push(key);
            }
            game.principals.push(id_of(&name));
        }
        game
    }

    fn any_grants(&self, dice: &mut Dice) -> Vec<Grant> {
        (0..dice.below(4)).map(|_| self.any_grant(dice)).collect()
    }

    fn any_grant(&self, dice: &mut Dice) -> Grant {
        // Administrators often, because they can do the most.
        let role = match dice.below(2) {
            0 => Role::Admin,
            _ => one(dice, Role::ALL),
        };
        let target = match dice.below(6) {
            0 => GrantTarget::All,
            1 => GrantTarget::Own,
            _ => GrantTarget::Project(one(dice, &self.projects)),
        };
        Grant { role, target }
    }

    fn callers(&self) -> Vec<Caller> {
        // Revoked keys and those of disabled principals are worth nothing.
        self.keys.iter().filter_map(|key| self.guarded.access.authenticate(key).ok()).collect()
    }

    /// Returns what the callers may do together, by permission and place.
    fn held(&self) -> BTreeSet<(String, &'static str)> {
        let mut held = BTreeSet::new();
        for caller in self.callers() {
            for (name, place) in &self.probes {
                for permission in Permission::ALL {
                    if caller.check(*permission, *place).is_ok() {
                        held.insert((name.clone(), permission.as_str()));
                    }
                }
            }
        }
        held
    }

    fn keep(&mut self, issued: Result<IssuedKey, Error>) -> bool {
        let Ok(issued) = issued else { return false };
        self.keys.push(issued.text.expose().to_owned());
        self.credentials.push(issued.key.id);
        true
    }

    /// Makes a random call as a random caller; returns whether it was permitted.
    async fn call(&mut self, dice: &mut Dice) -> bool {
        let callers = self.callers();
        if callers.is_empty() {
            return false;
        }
        let caller = callers[dice.below(callers.len() as u64) as usize].clone();
        let access = self.guarded.access.clone();
        let principal = one(dice, &self.principals);
        let credential = one(dice, &self.credentials);
        match dice.below(9) {
            8 => {
                let roles = self.any_grants(dice).into_iter().map(|grant| grant.role).collect();
                let project = one(dice, &self.projects);
                access.set_member_roles(project, principal, roles, caller).await.is_ok()
            }
            0 | 1 => {
                self.names += 1;
                let new = NewPrincipal {
                    name: format!("made {}", self.names),
                    kind: [PrincipalKind::Person, PrincipalKind::Service][dice.below(2) as usize],
                    groups: Vec::new(),
                    grants: self.any_grants(dice),
                };
                let made = access.create_principal(new, caller).await;
                self.principals.extend(made.as_ref().ok().map(|made| made.id));
                made.is_ok()
            }
            2 | 3 => {
                let change = PrincipalChange {
                    grants: (dice.below(4) > 0).then(|| self.any_grants(dice)),
                    groups: (dice.below(4) == 0).then(|| vec!["admins".to_owned()]),
                    disabled: (dice.below(6) == 0).then(|| dice.below(2) == 0),
                    deleted: dice.below(20) == 0,
                };
                access.change_principal(principal, change, caller).await.is_ok()
            }
            4 | 5 => {
                let new = NewKey {
                    principal,
                    name: "a key".to_owned(),
                    grants: (dice.below(2) == 0).then(|| self.any_grants(dice)),
                    lifetime: Lifetime::Unlimited,
                };
                let issued = access.create_key(new, caller).await;
                self.keep(issued)
            }
            6 => {
                let overlap = Duration::from_secs(dice.below(2) * 3600);
                let issued = access.rotate_key(credential, overlap, None, caller).await;
                self.keep(issued)
            }
            _ => {
                let made = self.guarded.harness.engine.create_project(new_project(), caller).await;
                // What a caller has created is its own, and counts for nothing here.
                made.is_ok()
            }
        }
    }
}

fn new_project() -> NewProject {
    NewProject {
        name: "A project".to_owned(),
        description: None,
        workflow: None,
        oversight: Oversight::Standard,
    }
}

/// Returns whether a permission that was gained is the one that administrators may pass on without
/// holding it: that programs may work where they manage.
fn may_be_passed_on(before: &BTreeSet<(String, &'static str)>, gained: &(String, &str)) -> bool {
    gained.1 == Permission::WorkDo.as_str()
        && before.contains(&(gained.0.clone(), Permission::ProjectManage.as_str()))
}

#[tokio::test]
async fn no_sequence_of_permitted_calls_gains_a_permission_that_no_caller_held() {
    let mut dice = Dice::new();
    let (mut permitted, mut refused, mut partial) = (0_u32, 0_u32, 0_u32);
    for _ in 0..count(SEQUENCES.0, SEQUENCES.1) {
        let mut dice = dice.fork();
        let seed = dice.seed();
        let mut game = Game::new(&mut dice).await;
        let before = game.held();
        let is_admin =
            before.contains(&("the installation".to_owned(), Permission::AccessManage.as_str()));
        partial += u32::from(!is_admin && !before.is_empty());
        for _ in 0..CALLS {
            let was_permitted = game.call(&mut dice).await;
            *(if was_permitted { &mut permitted } else { &mut refused }) += 1;
            let now = game.held();
            let gained = now.difference(&before).find(|gained| !may_be_passed_on(&before, gained));
            assert!(gained.is_none(), "gained {gained:?} in the sequence of seed {seed}");
        }
    }
    println!(
        "calls: {permitted} permitted, {refused} refused; {partial} sequences without an admin"
    );
    assert!(permitted > 100 && refused > 100 && partial > 10);
}
