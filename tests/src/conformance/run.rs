//! One scenario from beginning to end.

use anyhow::{Context, Result};

use crate::conformance::judge::{Verdict, judge};
use crate::conformance::scenario::Scenario;
use crate::conformance::shows;
use crate::conformance::stage::{Stage, Story};
use crate::need::Need;

/// How a scenario ended.
#[derive(Debug)]
pub enum Outcome {
    /// Something that it needs is not there.
    Skipped(String),
    /// It could not be played, or Kea did something else than the scenario is about.
    Failed(String),
    /// Both stories were compared.
    Judged(Verdict),
}

/// Plays a scenario and compares the two stories.
pub fn run(scenario: &Scenario) -> Outcome {
    if let Some(reason) = missing(scenario) {
        return Outcome::Skipped(reason);
    }
    let story = match play(scenario) {
        Ok(story) => story,
        Err(error) => return Outcome::Failed(format!("{error:#}")),
    };
    match shows::complaint(scenario.shows, &story.real) {
        Some(complaint) => Outcome::Failed(complaint),
        None => Outcome::Judged(judge(scenario.name, &story.real, &story.observed)),
    }
}

/// What the machine lacks for a scenario.
fn missing(scenario: &Scenario) -> Option<String> {
    let programs = scenario.programs.iter().chain([&"tc"]);
    let mut needs = vec![Need::Root, Need::Program(scenario.family.program())];
    needs.extend(programs.map(|program| Need::Program(program)));
    needs.into_iter().find_map(Need::missing)
}

/// Plays a scenario and tells what both programs called.
pub fn play(scenario: &Scenario) -> Result<Story> {
    let mut stage = Stage::set(scenario, |_| Ok(())).context("cannot set the stage")?;
    let story = (scenario.traffic)(&mut stage).context("the traffic failed").and_then(|()| stage.strike());
    story.with_context(|| format!("Kea's log ends with\n{}", stage.end_of_log()))
}
