//! Power cuts at random calls: what wasn't synced is lost at random, sector by sector. And the
//! negative controls that show that the check would notice.

use headwater_store::{Controls, Options, Store};

use crate::random::Random;
use crate::simulated::{Fault, Lie, Simulated};
use crate::workload::{Life, folder, options};

const CUTS: u64 = 4;

/// One store through several power cuts; says what the check found.
fn live(seed: u64, lie: Lie, controls: Controls) -> Result<(), String> {
    let mut random = Random::new(seed);
    let folder = folder();
    let mut disk = Simulated::new();
    let mut life = Life::new(folder.path());
    let with = |disk: &Simulated| Options { controls, ..options(disk) };
    for cut in 0..CUTS {
        let found = Store::open(&life.folder, with(&disk));
        let store = found.map_err(|error| format!("cut {cut}: {error}"))?;
        life.check(&store).map_err(|error| format!("cut {cut}: {error}"))?;
        disk.lie(lie);
        disk.fail(1 + random.below(250), Fault::PowerCut);
        life.run(&store, 200, &mut random);
        drop(store);
        disk = disk.after_power_cut(&mut random);
        if random.below(4) == 0 {
            // A second cut while the first is being recovered from.
            disk.fail(1 + random.below(12), Fault::PowerCut);
            drop(Store::open(&life.folder, with(&disk)));
            disk = disk.after_power_cut(&mut random);
        }
    }
    let found = Store::open(&life.folder, with(&disk));
    let store = found.map_err(|error| format!("at last: {error}"))?;
    life.check(&store)?;
    store.verify().map(drop).map_err(|error| error.to_string())
}

#[test]
fn nothing_acknowledged_is_lost() {
    let states = if crate::long() { 8_000 } else { 2_000 };
    for seed in 0..states / CUTS {
        if let Err(error) = live(seed, Lie::None, Controls::default()) {
            panic!("seed {seed}: {error}");
        }
    }
}

fn found_by_the_check(lie: Lie, controls: Controls) -> usize {
    (0..60).filter(|seed| live(*seed, lie, controls).is_err()).count()
}

#[test]
fn a_sync_that_does_nothing_is_noticed() {
    let found = found_by_the_check(Lie::FileSync, Controls::default());
    assert!(found > 30, "noticed in {found} of 60 lives");
}

#[test]
fn a_folder_sync_that_does_nothing_is_noticed() {
    let found = found_by_the_check(Lie::FolderSync, Controls::default());
    assert!(found > 10, "noticed in {found} of 60 lives");
}

#[test]
fn a_tree_that_does_not_wait_for_the_log_is_noticed() {
    let controls = Controls { tree_does_not_wait: true };
    let found = found_by_the_check(Lie::None, controls);
    assert!(found > 0, "noticed in {found} of 60 lives");
}
