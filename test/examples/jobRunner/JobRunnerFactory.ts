import { Descriptor, Factory } from 'pip-services4-components-node';
import { JobRunner } from './JobRunner';
import { LockHealth } from './LockHealth';
import { PrometheusCounters } from './PrometheusCounters';
import { StatusServer } from './StatusServer';

/** Makes the components of the job runner for its container. */
export class JobRunnerFactory extends Factory {
    constructor() {
        super();
        this.registerAsType(new Descriptor('job-runner', 'counters', 'prometheus', '*', '1.0'), PrometheusCounters);
        this.registerAsType(new Descriptor('job-runner', 'health', 'lock', '*', '1.0'), LockHealth);
        this.registerAsType(new Descriptor('job-runner', 'runner', 'default', '*', '1.0'), JobRunner);
        this.registerAsType(new Descriptor('job-runner', 'status', 'http', '*', '1.0'), StatusServer);
    }
}
