//! Workflow of a project as a graph: columns are phases, rows are steps, edges dependencies. Numbers for
//! the attributes of an SVG; the colours are in the style sheet.

use botarmy_domain::Workflow;

/// Most steps that are drawn. The table of the steps has all of them.
pub(crate) const MAX_STEPS: usize = 60;

const BOX_WIDTH: f32 = 138.0;
const BOX_HEIGHT: f32 = 60.0;
/// Distance from one column, and one row, to the next.
const COLUMN: f32 = 168.0;
const ROW: f32 = 76.0;
/// Top of the first row, below the names of the phases.
const TOP: f32 = 26.0;
/// Room at the edges for the strokes of the boxes.
const EDGE: f32 = 1.0;
/// Place of the vertical part of an edge in the gap beside a box.
const BEND: f32 = 14.5;
/// Height of the horizontal part of an edge above a row of boxes.
const LANE: f32 = 8.0;
const RADIUS: f32 = 6.0;
/// Most characters of a line of a name, and most lines.
const LINE: usize = 14;
const LINES: usize = 2;
/// Most characters of the line below a name.
const SUB: usize = 19;

/// Look of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Done,
    Failed,
    Waiting,
    Running,
    Idle,
}

/// Look of a step, with the texts beside its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepLook {
    pub(crate) look: Look,
    /// State in words.
    pub(crate) state: String,
    /// Line below the name.
    pub(crate) sub: String,
    /// Address of the step.
    pub(crate) href: String,
}

/// A graph.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GraphView {
    pub(crate) width: f32,
    pub(crate) height: f32,
    pub(crate) phases: Vec<PhaseView>,
    pub(crate) edges: Vec<EdgeView>,
    pub(crate) nodes: Vec<NodeView>,
}

/// Name of a phase above its column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PhaseView {
    pub(crate) x: f32,
    pub(crate) name: String,
}

/// Line from one step to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EdgeView {
    pub(crate) path: String,
    /// Classes of the style sheet.
    pub(crate) class: &'static str,
}

/// Box of a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NodeView {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) class: &'static str,
    pub(crate) href: String,
    pub(crate) title: String,
    pub(crate) mark: String,
    pub(crate) lines: Vec<LineView>,
    pub(crate) sub: LineView,
}

/// Line of text in a box.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LineView {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) text: String,
}

/// Returns the graph of a workflow with the look of each of its steps, in their order; `None` for a
/// workflow with too many steps.
pub(crate) fn view(workflow: &Workflow, looks: &[StepLook]) -> Option<GraphView> {
    if workflow.steps.is_empty() || workflow.steps.len() > MAX_STEPS {
        return None;
    }
    let mut phases: Vec<&str> = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    let mut rows: Vec<usize> = Vec::new();
    for step in &workflow.steps {
        let column = phases.iter().position(|phase| *phase == step.phase).unwrap_or_else(|| {
            phases.push(&step.phase);
            rows.push(0);
            phases.len() - 1
        });
        places.push(Place { column, row: rows[column] });
        rows[column] += 1;
    }
    let columns = phases.len();
    let deepest = rows.iter().copied().max().unwrap_or(1);
    Some(GraphView {
        width: number(columns - 1) * COLUMN + BOX_WIDTH + 2.0 * EDGE,
        height: TOP + number(deepest - 1) * ROW + BOX_HEIGHT + 4.0,
        phases: phases
            .iter()
            .enumerate()
            .map(|(column, name)| PhaseView {
                x: Place { column, row: 0 }.x(),
                name: shortened(name, 22),
            })
            .collect(),
        edges: edges(workflow, &places, looks),
        nodes: workflow
            .steps
            .iter()
            .zip(&places)
            .zip(looks)
            .map(|((step, place), look)| node(&step.name, *place, look))
            .collect(),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    column: usize,
    row: usize,
}

#[expect(clippy::cast_precision_loss, reason = "there are at most 60 steps")]
fn number(n: usize) -> f32 {
    n as f32
}

impl Place {
    fn x(self) -> f32 {
        EDGE + number(self.column) * COLUMN
    }

    fn y(self) -> f32 {
        TOP + number(self.row) * ROW
    }

    fn middle(self) -> f32 {
        self.y() + BOX_HEIGHT / 2.0
    }

    fn right(self) -> f32 {
        self.x() + BOX_WIDTH
    }
}

fn edges(workflow: &Workflow, places: &[Place], looks: &[StepLook]) -> Vec<EdgeView> {
    let index = |name: &str| workflow.steps.iter().position(|step| step.name == name);
    let mut edges = Vec::new();
    for to in 0..workflow.steps.len() {
        for from in workflow.dependencies(to).into_iter().filter_map(index) {
            let is_done = looks.get(from).is_some_and(|look| look.look == Look::Done)
                || looks.get(to).is_some_and(|look| look.look != Look::Idle);
            edges.push(EdgeView {
                path: path(&points(places[from], places[to])),
                class: if is_done { "edge done" } else { "edge" },
            });
        }
    }
    for (from, step) in workflow.steps.iter().enumerate() {
        let Some(to) = step.repeat.as_ref().and_then(|repeat| index(&repeat.with)) else {
            continue;
        };
        edges.push(EdgeView { path: path(&back(places[from], places[to])), class: "edge loop" });
    }
    edges
}

/// Returns the corners of the line from one box to another. It leads between the boxes.
fn points(from: Place, to: Place) -> Vec<(f32, f32)> {
    if from.column == to.column && to.row == from.row + 1 {
        let x = from.x() + BOX_WIDTH / 2.0;
        return vec![(x, from.y() + BOX_HEIGHT), (x, to.y() - 1.0)];
    }
    let (begin, end) = ((from.right(), from.middle()), (to.x() - 1.0, to.middle()));
    if from.column == to.column {
        let x = from.right() + BEND;
        return vec![begin, (x, begin.1), (x, end.1), (to.right() + 1.0, end.1)];
    }
    if to.column == from.column + 1 {
        let x = begin.0 + BEND;
        return vec![begin, (x, begin.1), (x, end.1), end];
    }
    let (out, into) = (begin.0 + BEND, to.x() - (COLUMN - BOX_WIDTH - BEND));
    let lane = to.y() - LANE;
    vec![begin, (out, begin.1), (out, lane), (into, lane), (into, end.1), end]
}

/// Returns the corners of the line back to a step that runs again.
fn back(from: Place, to: Place) -> Vec<(f32, f32)> {
    let begin = (from.right(), from.middle());
    let end = (to.right() + 1.0, to.middle() + 12.0);
    if from.column == to.column {
        let x = from.right() + 18.0;
        return vec![begin, (x, begin.1), (x, end.1), end];
    }
    let (out, into) = (from.right() + 18.0, to.right() + 18.0);
    let lane = from.y() - LANE;
    vec![begin, (out, begin.1), (out, lane), (into, lane), (into, end.1), end]
}

/// Returns a line through these points, with rounded corners.
fn path(points: &[(f32, f32)]) -> String {
    let mut corners: Vec<(f32, f32)> = Vec::new();
    for point in points {
        // Three points on one line are two.
        if let [.., a, b] = corners.as_slice() {
            let is_straight = (a.0 == b.0 && b.0 == point.0) || (a.1 == b.1 && b.1 == point.1);
            if is_straight {
                corners.pop();
            }
        }
        if corners.last() != Some(point) {
            corners.push(*point);
        }
    }
    let mut path = String::new();
    for (n, (x, y)) in corners.iter().copied().enumerate() {
        let (Some(before), Some(after)) =
            (n.checked_sub(1).map(|n| corners[n]), corners.get(n + 1).copied())
        else {
            path.push_str(&format!("{}{x} {y}", if n == 0 { 'M' } else { 'L' }));
            continue;
        };
        let length = |other: (f32, f32)| (other.0 - x).abs() + (other.1 - y).abs();
        let radius = RADIUS.min(length(before) / 2.0).min(length(after) / 2.0);
        let toward = |other: (f32, f32)| {
            let step =
                |to: f32, from: f32| if to == from { 0.0 } else { (to - from).signum() * radius };
            (x + step(other.0, x), y + step(other.1, y))
        };
        let ((ax, ay), (bx, by)) = (toward(before), toward(after));
        path.push_str(&format!("L{ax} {ay}Q{x} {y} {bx} {by}"));
    }
    path
}

fn node(name: &str, place: Place, look: &StepLook) -> NodeView {
    let (x, y, middle) = (place.x(), place.y(), place.middle());
    let lines = wrapped(name);
    // The lines and the one below them stand in the middle of the box.
    let first = if lines.len() == 1 { 27.0 } else { 19.5 };
    let at = |n: usize| y + first + number(n) * 15.0;
    let (x_mark, x_text) = (x + 16.0, x + 30.0);
    let mark = match look.look {
        Look::Done => "m-4 0 3 3 5-6".to_owned(),
        Look::Failed => "m-3.5-3.5 7 7m0-7-7 7".to_owned(),
        Look::Waiting => format!("m0-5a5 5 0 1 0 .01 0M{x_mark} {middle}m0-2.5v2.75l1.75 1"),
        Look::Running => "m0-5a5 5 0 1 1-5 5".to_owned(),
        Look::Idle => "m-3 0h6".to_owned(),
    };
    let count = lines.len();
    NodeView {
        x,
        y,
        class: look.look.class(),
        href: look.href.clone(),
        title: format!("{name}: {}", look.state),
        mark: format!("M{x_mark} {middle}{mark}"),
        lines: lines
            .into_iter()
            .enumerate()
            .map(|(n, text)| LineView { x: x_text, y: at(n), text })
            .collect(),
        sub: LineView { x: x_text, y: at(count), text: shortened(&look.sub, SUB) },
    }
}

impl Look {
    /// Returns the class of the style sheet.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Failed => "bad",
            Self::Waiting => "wait",
            Self::Running => "run",
            Self::Idle => "idle",
        }
    }
}

/// Divides a name into lines.
fn wrapped(name: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in name.split_whitespace() {
        let fits = |line: &&mut String| line.chars().count() + 1 + word.chars().count() <= LINE;
        if let Some(line) = lines.last_mut().filter(fits) {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    if lines.len() > LINES {
        let rest = lines.split_off(LINES - 1).join(" ");
        lines.push(rest);
    }
    lines.iter().map(|line| shortened(line, LINE + 1)).collect()
}

/// Returns a text with at most this many characters.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let begin: String = text.chars().take(most - 1).collect();
    format!("{}…", begin.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(steps: &[(&str, &str, &str)]) -> Workflow {
        let mut text = "name = \"w\"\n".to_owned();
        for (name, phase, more) in steps {
            text.push_str(&format!(
                "[[step]]\nname = \"{name}\"\nphase = \"{phase}\"\nagent = \"coder\"\n\
                 output = \"agent_output\"\n{more}\n"
            ));
        }
        Workflow::from_toml(&text).unwrap()
    }

    fn looks(looks: &[Look]) -> Vec<StepLook> {
        let look = |look: &Look| StepLook {
            look: *look,
            state: "done".to_owned(),
            sub: "coder".to_owned(),
            href: "#x".to_owned(),
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn boxes_stand_in_columns_of_phases_with_their_dependencies() {
        let workflow = workflow(&[
            ("Project Planning", "Plan", ""),
            ("Code Generation", "Build", ""),
            ("Code Testing", "Build", ""),
            ("Final", "Launch", "depends_on = [\"Project Planning\", \"Code Testing\"]"),
        ]);
        use Look::{Done, Idle, Running};
        let graph = view(&workflow, &looks(&[Done, Done, Running, Idle])).unwrap();
        assert_eq!((graph.width, graph.height), (476.0, 166.0));
        let phases: Vec<_> =
            graph.phases.iter().map(|phase| (phase.x, phase.name.as_str())).collect();
        assert_eq!(phases, [(1.0, "Plan"), (169.0, "Build"), (337.0, "Launch")]);
        let edges: Vec<_> =
            graph.edges.iter().map(|edge| (edge.path.as_str(), edge.class)).collect();
        assert_eq!(
            edges,
            [
                ("M139 56L168 56", "edge done"),
                ("M238 86L238 101", "edge done"),
                (
                    "M139 56L147.5 56Q153.5 56 153.5 50L153.5 24Q153.5 18 159.5 18\
                     L315.5 18Q321.5 18 321.5 24L321.5 50Q321.5 56 327.5 56L336 56",
                    "edge done"
                ),
                (
                    "M307 132L315.5 132Q321.5 132 321.5 126L321.5 62Q321.5 56 327.5 56L336 56",
                    "edge"
                ),
            ]
        );
        let node = &graph.nodes[0];
        assert_eq!((node.x, node.y, node.class), (1.0, 26.0, "ok"));
        assert_eq!(node.mark, "M17 56m-4 0 3 3 5-6");
        let lines: Vec<_> = node.lines.iter().map(|line| (line.y, line.text.as_str())).collect();
        assert_eq!(lines, [(45.5, "Project"), (60.5, "Planning")]);
        assert_eq!((node.sub.x, node.sub.y), (31.0, 75.5));
        assert_eq!(graph.nodes[3].lines[0].y, 53.0);
        assert_eq!(node.title, "Project Planning: done");
    }

    #[test]
    fn a_loop_is_dashed_and_leads_back() {
        let workflow = workflow(&[
            ("Test", "Check", ""),
            ("Fix", "Check", "loop = { with = \"Test\", until = \"passed\" }"),
        ]);
        let graph = view(&workflow, &looks(&[Look::Failed, Look::Waiting])).unwrap();
        let last = graph.edges.last().unwrap();
        assert_eq!(last.class, "edge loop");
        assert_eq!(last.path, "M139 132L151 132Q157 132 157 126L157 74Q157 68 151 68L140 68");
    }

    #[test]
    fn names_are_wrapped_and_shortened() {
        assert_eq!(wrapped("Bug Fix"), ["Bug Fix"]);
        assert_eq!(wrapped("Implementation Planning"), ["Implementation", "Planning"]);
        assert_eq!(
            wrapped("a bb ccc dddd eeeee ffffff ggggggg"),
            ["a bb ccc dddd", "eeeee ffffff g…"]
        );
        assert_eq!(wrapped("Donaudampfschifffahrt"), ["Donaudampfschi…"]);
    }

    #[test]
    fn a_workflow_with_too_many_steps_is_not_drawn() {
        let names: Vec<String> = (0..=MAX_STEPS).map(|n| format!("s{n}")).collect();
        let steps: Vec<_> = names.iter().map(|name| (name.as_str(), "p", "")).collect();
        assert_eq!(view(&workflow(&steps), &looks(&[Look::Idle; MAX_STEPS + 1])), None);
        let most = view(&workflow(&steps[1..]), &looks(&[Look::Idle; MAX_STEPS])).unwrap();
        assert_eq!(most.nodes.len(), MAX_STEPS);
    }
}
