//! Names of files and folders that make a tool run what they configure as soon as it looks at the
//! folder: `git status`, a shell that enters it, an editor that opens it, a coding agent that starts
//! in it. What runs only when the project itself is built or tested is not among them.

use super::folding::folded;

/// Folders and files of version control systems. Git, Mercurial and Jujutsu run the programs that
/// the configuration in them names.
const VERSION_CONTROL: [&str; 10] =
    [".git", ".hg", ".svn", ".jj", ".sl", ".bzr", "_darcs", ".pijul", ".fslckout", "_fossil_"];

/// Files below a folder `CVS`, which is an ordinary name otherwise.
const CVS: [&str; 3] = ["root", "repository", "entries"];

/// Configurations of other tools, folded.
const CONFIGURATION: [&str; 44] = [
    // Shells that enter the folder.
    ".envrc",
    ".direnv",
    ".autoenv",
    ".autoenv.zsh",
    ".mise",
    ".mise.toml",
    "mise.toml",
    // Editors that open it.
    ".vscode",
    ".vscode-server",
    ".idea",
    ".vs",
    ".zed",
    ".fleet",
    ".theia",
    ".nova",
    ".devcontainer",
    ".devcontainer.json",
    ".exrc",
    ".vimrc",
    ".gvimrc",
    ".nvimrc",
    ".nvim.lua",
    ".dir-locals.el",
    ".dir-locals-2.el",
    // Debuggers and interpreters that start in it.
    ".gdbinit",
    ".lldbinit",
    ".pdbrc",
    ".rprofile",
    ".renviron",
    // Coding agents that start in it: hooks, and servers of tools that they start.
    ".claude",
    ".mcp.json",
    ".codex",
    ".gemini",
    ".qwen",
    ".cursor",
    ".windsurf",
    ".continue",
    ".roo",
    ".kiro",
    ".amazonq",
    ".opencode",
    "opencode.json",
    "opencode.jsonc",
    ".aider.conf.yml",
];

/// Returns the reason why one part of a path is refused, if it is a name of this kind.
pub(super) fn reason(name: &str) -> Option<&'static str> {
    let name = folded(name);
    let is = |other: &&str| name == **other || is_short_form(&name, other);
    if VERSION_CONTROL.iter().any(&is) {
        return Some("the path names metadata of a version control system");
    }
    if CONFIGURATION.iter().any(is) || name.ends_with(".code-workspace") {
        return Some("the path names a configuration that tools execute");
    }
    None
}

/// Returns whether two parts of a path, one below the other, are metadata of CVS.
pub(super) fn is_cvs(folder: &str, name: &str) -> bool {
    folded(folder) == "cvs" && CVS.contains(&folded(name).as_str())
}

/// Returns whether a name is the short form that Windows gives to another: `GIT~1` opens `.git`.
fn is_short_form(name: &str, full: &str) -> bool {
    let Some((stem, number)) = name.split_once('~') else { return false };
    let number = number.split('.').next().unwrap_or_default();
    let base = full.trim_start_matches('.').split('.').next().unwrap_or_default();
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && stem == &base[..base.len().min(6)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_hold_folded_names() {
        for name in VERSION_CONTROL.iter().chain(&CVS).chain(&CONFIGURATION) {
            assert_eq!(folded(name), **name);
        }
    }
}
