//! The processes of the machine and their relations, as `/proc` shows them.

use rustix::process::Pid;

/// A process, its parent and its group.
#[derive(Debug)]
struct Process {
    id: i32,
    parent: i32,
    group: i32,
    is_zombie: bool,
}

/// The processes at one moment.
#[derive(Debug)]
pub(crate) struct ProcessTable(Vec<Process>);

impl ProcessTable {
    /// Reads the table; it is empty where there is no `/proc`.
    pub(crate) fn read() -> Self {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Self(ids.filter_map(process).collect())
    }

    /// Returns whether a process runs and is in a group.
    pub(crate) fn is_in_group(&self, process: Pid, group: Pid) -> bool {
        let (id, group) = (process.as_raw_nonzero().get(), group.as_raw_nonzero().get());
        self.0.iter().any(|found| found.id == id && found.group == group && !found.is_zombie)
    }

    /// Returns the children of a process, their children, and so on.
    pub(crate) fn below(&self, process: Pid) -> Vec<Pid> {
        let mut found = vec![process.as_raw_nonzero().get()];
        let mut next = 0;
        while let Some(&parent) = found.get(next) {
            found.extend(self.0.iter().filter(|one| one.parent == parent).map(|one| one.id));
            next += 1;
        }
        found.into_iter().skip(1).filter_map(Pid::from_raw).collect()
    }
}

/// Reads `/proc/ID/stat`: the id, the name in parentheses, the state, the parent, the group.
fn process(id: i32) -> Option<Process> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let is_zombie = matches!(fields.next()?, "Z" | "X");
    let (parent, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Process { id, parent, group, is_zombie })
}
