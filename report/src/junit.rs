//! JUnit XML: a suite an object, a case a program, configuration and kernel; lints and limits are cases of the program that they are about.

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use crate::model::{Finding, Report};
use crate::terminal;

pub fn render(report: &Report) -> String {
    let mut junit = Junit::new("bpfverdict gate");
    let mut suites: Vec<(String, TestSuite)> = Vec::new();
    let mut suite_of = |object: &str| -> usize {
        let name = if object.is_empty() { "gate" } else { object };
        suites.iter().position(|(n, _)| n == name).unwrap_or_else(|| {
            suites.push((name.to_owned(), TestSuite::new(name)));
            suites.len() - 1
        })
    };
    let mut cases: Vec<(usize, TestCase)> = Vec::new();
    for c in &report.cells {
        let mut name = format!("{} [{}]", c.program, c.kernel);
        if c.configuration != "-" {
            name = format!("{} [{}, {}]", c.program, c.kernel, c.configuration);
        }
        let holds = |f: &&Finding| {
            f.object == c.object
                && f.program == c.program
                && f.kernels.contains(&c.kernel)
                && f.configurations.contains(&c.configuration)
        };
        let about: Vec<&Finding> = report.findings.iter().filter(holds).collect();
        let status = match about.iter().find(|f| f.fails()) {
            Some(f) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let text = about.iter().map(|f| terminal::plain(f, report)).collect::<Vec<_>>().join("\n");
                status.set_message(first_line(&f.message)).set_type(f.rule.clone()).set_description(text);
                status
            }
            None => match about.iter().find(|f| f.suppressed.is_some()) {
                Some(f) => {
                    let mut status = TestCaseStatus::skipped();
                    let why = f.suppressed.as_ref().map_or("", |s| s.reason.as_str());
                    status.set_message(format!("{}: {why}", f.rule));
                    status
                }
                None => TestCaseStatus::success(),
            },
        };
        let mut case = TestCase::new(name, status);
        case.set_classname(c.object.clone());
        case.set_time(std::time::Duration::from_micros(c.duration_us));
        let warnings: Vec<String> = about.iter().filter(|f| !f.fails()).map(|f| terminal::plain(f, report)).collect();
        if !warnings.is_empty() {
            case.set_system_out(warnings.join("\n"));
        }
        let cost = format!("insns={} states={} stack={}", c.insns, c.total_states, c.stack_text());
        case.extra.insert("cost".into(), cost.into());
        cases.push((suite_of(&c.object), case));
    }
    // What belongs to no cell: unreadable objects, expired suppressions.
    let loose = report.findings.iter().filter(|f| f.kernels.is_empty());
    for f in loose.filter(|f| f.fails()) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(first_line(&f.message)).set_type(f.rule.clone()).set_description(terminal::plain(f, report));
        let name = if f.program.is_empty() { f.rule.clone() } else { format!("{} {}", f.program, f.rule) };
        cases.push((suite_of(&f.object), TestCase::new(name, status)));
    }
    for (index, case) in cases {
        suites[index].1.add_test_case(case);
    }
    junit.add_test_suites(suites.into_iter().map(|(_, suite)| suite));
    junit.to_string().unwrap_or_default()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
