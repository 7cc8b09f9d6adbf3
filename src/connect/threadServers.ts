// A thread loads this, too: so nothing of the toolkit is loaded here.
import type { Login } from './login';
import type { Logins, ServerPlan } from './serverClients';
import type { Target } from './targets';

/** What another thread needs to connect to the same servers. */
export interface ThreadServers {
    readonly plan: ServerPlan;
    /** The credentials, as they are now. */
    logins(): Promise<FoundLogins>;
}

/** Credentials that were looked up: plain data. */
export interface FoundLogins {
    /** Of each target of the plan. */
    readonly targets: readonly Login[];
    /** Of servers that were found by others. */
    readonly others: Login;
    readonly sentinels: Login;
}

const NONE: Login = { username: undefined, password: undefined };

/** @throws what looking them up throws. */
export async function findLogins({ targets, topology }: ServerPlan, logins: Logins): Promise<FoundLogins> {
    const [first] = targets;
    return {
        targets: await Promise.all(targets.map((target) => logins.ofServer(target))),
        others: await logins.ofServer(undefined),
        sentinels: topology === 'sentinel' ? await logins.ofSentinels(first) : NONE,
    };
}

/** Credentials that another thread looks up: it may be busy, so what it told last is used, and it is asked for the next time. */
export class ToldLogins implements Logins {
    constructor(
        private readonly _plan: ServerPlan,
        /** What was told last. */
        public found: FoundLogins,
        private readonly _ask: () => void,
    ) {}

    ofServer(target: Target | undefined): Promise<Login> {
        this._ask();
        const { others, targets } = this.found;
        const at = target === undefined ? -1 : this._plan.targets.indexOf(target);
        return Promise.resolve(targets[at] ?? others);
    }

    ofSentinels(): Promise<Login> {
        return Promise.resolve(this.found.sentinels);
    }
}
