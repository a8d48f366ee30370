//! The macro behind every "number with a kernel name" enum: one list gives the variants, both conversions and the names.

/// Declares an enum whose variants have a kernel number and a kernel name (without its `BPF_..._` prefix).
macro_rules! numbered {
    ($(#[$meta:meta])* $vis:vis enum $name:ident : $prefix:literal { $($variant:ident = $number:literal $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        $vis enum $name { $($variant = $number),* }

        impl $name {
            /// Every variant, by number.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];
            /// What the kernel's headers put in front of the name.
            pub const PREFIX: &'static str = $prefix;

            /// The variant with this kernel number, if the kernel has one.
            pub fn from_raw(raw: u32) -> Option<$name> {
                match raw { $($number => Some($name::$variant),)* _ => None }
            }

            /// The kernel's number.
            pub const fn raw(self) -> u32 {
                self as u32
            }

            /// The kernel's name without the prefix: `SOCKET_FILTER`.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }

            /// libbpf's and bpftool's text: `socket_filter`.
            pub fn libbpf_name(self) -> String {
                self.name().to_ascii_lowercase()
            }

            /// The variant of this name, in any case, with or without the prefix.
            pub fn from_name(name: &str) -> Option<$name> {
                let bare = match name.get(..Self::PREFIX.len()) {
                    Some(head) if head.eq_ignore_ascii_case(Self::PREFIX) => &name[Self::PREFIX.len()..],
                    _ => name,
                };
                Self::ALL.iter().copied().find(|v| v.name().eq_ignore_ascii_case(bare))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use numbered;
