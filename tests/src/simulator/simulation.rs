//! The processes of a simulation and their shared world.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_engine::operations::Hub;

use super::process::Process;
use super::world::World;

/// A dispatcher with its process.
type Dispatching = (Arc<Process>, Arc<dyn Hub>);

/// A world with its processes.
pub struct Simulation {
    /// The shared world of the processes.
    pub world: Arc<World>,
    processes: Mutex<Vec<Arc<Process>>>,
    hub: Mutex<Option<Dispatching>>,
}

impl Simulation {
    /// A simulation without processes.
    #[must_use]
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self { world: Arc::clone(world), processes: Mutex::default(), hub: Mutex::default() })
    }

    /// Starts a process.
    #[must_use]
    pub fn begin(&self, kind: &str) -> Arc<Process> {
        let process = Process::begin(&self.world, kind);
        let mut processes = self.lock();
        processes.retain(|other| !other.is_dead());
        processes.push(Arc::clone(&process));
        process
    }

    /// The running processes, oldest first.
    #[must_use]
    pub fn processes(&self) -> Vec<Arc<Process>> {
        self.lock().iter().filter(|process| !process.is_dead()).cloned().collect()
    }

    /// The current dispatcher, called from its own process.
    #[must_use]
    pub fn hub(&self) -> Option<(Arc<Process>, Arc<dyn Hub>)> {
        let hub = self.hub.lock().unwrap_or_else(PoisonError::into_inner).clone();
        hub.filter(|(process, _)| !process.is_dead())
    }

    /// Sets or removes the current dispatcher.
    pub fn set_hub(&self, hub: Option<(Arc<Process>, Arc<dyn Hub>)>) {
        *self.hub.lock().unwrap_or_else(PoisonError::into_inner) = hub;
    }

    /// Ends the faults.
    pub fn end_faults(&self) {
        self.world.end_faults();
        self.processes().iter().for_each(|process| process.heal());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Process>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
