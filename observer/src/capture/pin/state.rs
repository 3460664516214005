//! The few numbers that an observer leaves to the next one, in a pinned map of their own.

use std::path::Path;

use aya::maps::{Array, Map, MapData};

use super::PinError;

/// What is called with the layout that [`State`] has now. Another layout gets another name.
const NAME: &str = "STATE1";

/// What the next observer must know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// When the counters were last looked at: CLOCK_BOOTTIME, nanoseconds. No loss from before this is untold.
    pub looked_at: u64,
    /// How many lost frames were told of by then.
    pub lost_told: u64,
    /// The wall clock's distance from CLOCK_BOOTTIME, in nanoseconds.
    pub wall_offset: i64,
}

impl State {
    /// Reads what an observer left in its directory.
    pub fn read(directory: &Path) -> Option<Self> {
        let map = StateMap::open(directory)?;
        let of = |index| map.numbers.get(&index, 0).ok();
        Some(Self { looked_at: of(0)?, lost_told: of(1)?, wall_offset: of(2)?.cast_signed() })
    }
}

/// The map, for writing.
pub struct StateMap {
    numbers: Array<MapData, u64>,
}

impl StateMap {
    fn open(directory: &Path) -> Option<Self> {
        let map = MapData::from_pin(directory.join(NAME)).and_then(Map::from_map_data).ok()?;
        let numbers = Array::try_from(map).ok()?;
        Some(Self { numbers })
    }

    /// Opens the map in a directory, or makes and pins one.
    pub fn make(directory: &Path) -> Result<Self, PinError> {
        if let Some(map) = Self::open(directory) {
            return Ok(map);
        }
        let path = directory.join(NAME);
        let failed = |message: String| PinError::Object { path: path.clone(), message };
        let numbers = Array::<MapData, u64>::create(3, 0).map_err(|error| failed(error.to_string()))?;
        numbers.pin(&path).map_err(|error| failed(error.to_string()))?;
        Self::open(directory).ok_or_else(|| failed("it cannot be opened again".to_owned()))
    }

    /// Leaves these numbers.
    pub fn write(&mut self, state: &State) -> Result<(), aya::maps::MapError> {
        let State { looked_at, lost_told, wall_offset } = *state;
        for (index, number) in (0..).zip([looked_at, lost_told, wall_offset.cast_unsigned()]) {
            self.numbers.set(index, number, 0)?;
        }
        Ok(())
    }
}
