//! Icons, drawn in the colour of the text. They are written into the page, so that none is fetched.

use std::fmt;

use askama::filters::HtmlSafe;

macro_rules! icons {
    ($($name:ident = $path:literal,)+) => {
        /// Icon of sixteen by sixteen units.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Icon {
            $($name,)+
        }

        impl Icon {
            /// Returns the lines of the icon, as the attribute `d` of an SVG path.
            pub(crate) const fn path(self) -> &'static str {
                match self {
                    $(Self::$name => $path,)+
                }
            }
        }
    };
}

icons! {
    Inbox = "M2.5 9 4 3.5h8L13.5 9v3.5h-11zM2.5 9h3l1 1.75h3l1-1.75h3",
    Grid = "M2.5 2.5h4.25v4.25H2.5zM9.25 2.5h4.25v4.25H9.25zM2.5 9.25h4.25v4.25H2.5zM9.25 9.25h4.25v4.25H9.25z",
    Agent = "M3.5 6h9v6.5h-9zM8 6V3.25M6.25 8.75v1M9.75 8.75v1M1.75 8.5v1.5M14.25 8.5v1.5",
    Worker = "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01",
    Lines = "M3 4h10M3 8h10M3 12h6",
    Stop = "M5.5 2.25h5l3.25 3.25v5l-3.25 3.25h-5L2.25 10.5v-5zM6.25 6.25h3.5v3.5h-3.5z",
    Sliders = "M3 4.5h5M12 4.5h1M10 2.75v3.5M3 11.5h1M8 11.5h5M6 9.75v3.5",
    Person = "M8 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM3 13.5c.5-2.5 2.5-3.75 5-3.75s4.5 1.25 5 3.75",
    Search = "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.4 10.4 13.5 13.5",
    Filter = "M2.5 4h11M4.5 8h7M6.5 12h3",
    Clock = "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM8 4.75V8l2.25 1.5",
    Warning = "M8 2.5 14.25 13.25H1.75zM8 6.75v3M8 11.5v.01",
    Money = "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM9.75 6.25C9.35 5.75 8.75 5.5 8 5.5c-1 0-1.75.5-1.75 1.25S7 8 8 8s1.75.5 1.75 1.25S9 10.5 8 10.5c-.75 0-1.35-.25-1.75-.75M8 4.5v1M8 10.5v1",
    Document = "M4 2.5h5l3 3v8H4zM9 2.5v3h3M6 8.5h4M6 11h4",
    Question = "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM6.25 6.5A1.8 1.8 0 1 1 8.9 8c-.6.35-.9.65-.9 1.25M8 11.1v.01",
    Code = "M5.5 4.5 2 8l3.5 3.5M10.5 4.5 14 8l-3.5 3.5",
    More = "M3.5 8h.01M8 8h.01M12.5 8h.01",
    Running = "M8 2a6 6 0 1 1-6 6M8 5v3h2.5",
    Download = "M8 2.5v7.5M4.75 7 8 10.25 11.25 7M3 13.5h10",
    Pause = "M5.5 3.5v9M10.5 3.5v9",
    Play = "M5 3.25 12.5 8 5 12.75z",
    Done = "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM5.25 8.25 7.25 10.25 10.75 6",
    Failed = "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM6 6l4 4M10 6l-4 4",
    Idle = "M11.5 8a3.5 3.5 0 1 1-7 0 3.5 3.5 0 0 1 7 0z",
    Lock = "M4 7h8v6.5H4zM5.75 7V5a2.25 2.25 0 0 1 4.5 0v2",
    Check = "M3 8.5 6.5 12 13 4.5",
    Left = "M10 4 6 8l4 4",
    Right = "M6 4l4 4-4 4",
    Pencil = "M3 13l.75-3L10.5 3.25l2.25 2.25L6 12.25zM9 4.75 11.25 7",
    Cross = "M4 4l8 8M12 4l-8 8",
    Eye = "M1.75 8S4 3.75 8 3.75 14.25 8 14.25 8 12 12.25 8 12.25 1.75 8 1.75 8zM9.75 8a1.75 1.75 0 1 1-3.5 0 1.75 1.75 0 0 1 3.5 0z",
    Copy = "M5.5 5.5h7v7h-7zM10.5 5.5v-2h-7v7h2",
    Plus = "M8 3v10M3 8h10",
}

impl fmt::Display for Icon {
    /// Writes the element. Assistive technology is not told of it: a text beside it says the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<svg class=\"ico\" viewBox=\"0 0 16 16\" aria-hidden=\"true\"><path d=\"{}\"/></svg>",
            self.path()
        )
    }
}

impl HtmlSafe for Icon {}
