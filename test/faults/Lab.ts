import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { ServerCommands } from '../fixtures/ServerCommands';
import { until } from '../fixtures/until';
import type { Topology } from '../../src/connect/serverClients';
import { CLAIM_WINDOW } from '../../src/engine/port/protocol';
import { startGround } from './Ground';
import type { Ground } from './Ground';
import { History, instant } from './History';
import type { Occurrence } from './HistoryEvent';
import { BOUND } from './invariants';
import { LabWorker } from './LabWorker';
import type { Pace } from './Pace';
import { LOCAL_PACE, PACE } from './Pace';
import { Seed } from './Seed';
import { ServerWatch } from './ServerWatch';

export interface LabOptions {
    readonly topology?: Topology;
    /** Path of the history, which is appended to. */
    readonly history: string;
    readonly seed: number;
    readonly workers?: number;
    readonly keys?: number;
    /** How often in a row a worker passes a key on among its own callers; default: never. */
    readonly localGrants?: number;
    /** Whether workers take shares of a further key; not with local grants. Default: true. */
    readonly shares?: boolean;
    readonly pace?: Partial<Pace>;
    /** Of the package under test; default: the built one. */
    readonly library?: string;
    /** More of RedisLock's configuration. */
    readonly config?: Readonly<Record<string, string | number | boolean>>;
    /** How long to wait at the end for those who wait; default: the bound of I6 and a little more. */
    readonly patience?: number;
}

/** The built package. */
export const LIBRARY = join(__dirname, '..', '..', 'src', 'index.js');

const PREFIX = 'key:';
const TICK = 10;
const STILL = 25;

/** How long a part of a lock may take to run out; a hand-off is followed for one claim window, ms. */
const LEAVING = 6000;
const FOLLOWING = CLAIM_WINDOW + 300;

/** How long nothing must be sent then, ms. */
const SILENCE = 300;

/** Workers, a guarded resource and servers, of which faults break one or the other while all is written to a history. */
export class Lab implements AsyncDisposable {
    readonly keys: readonly string[];
    /** Of which shares are taken, too. */
    readonly shared: readonly string[];
    /** What is chosen with it is the same for the same seed. */
    readonly seed: Seed;
    /** For what is drawn as often as it takes. */
    readonly noise: Seed;
    readonly workers: LabWorker[] = [];
    private readonly _crashed: number[] = [];
    private readonly _watches: ServerWatch[] = [];
    private readonly _client: Redis;
    /** What the foreign client writes, which is in this process. */
    private readonly _foreigner: History;
    private _ticker: NodeJS.Timeout | undefined;
    private _foreign: Promise<void> | undefined;
    private _resourcePort = 0;

    private constructor(
        readonly ground: Ground,
        private readonly _options: LabOptions,
        private readonly _history: History,
        private readonly _resource: ChildProcess,
    ) {
        this.seed = new Seed(_options.seed);
        this.noise = new Seed(_options.seed + 1);
        const { localGrants = 0, keys = localGrants > 0 ? 2 : 3, shares } = _options;
        this.keys = Array.from({ length: keys }, (_, at) => `${PREFIX}${at}`);
        this.shared = localGrants > 0 || shares === false ? [] : [`${PREFIX}shared`];
        const [server] = ground.servers;
        this._client = new Redis({ host: '127.0.0.1', port: server?.port ?? 0, protocol: 2 });
        this._client.on('error', () => undefined);
        this._foreigner = new History(_options.history, 'foreign');
    }

    static async start(options: LabOptions): Promise<Lab> {
        const ground = await startGround(options.topology ?? 'single');
        const history = new History(options.history, 'lab');
        const resource = fork(join(__dirname, 'resourceProgram.js'), [options.history], { execArgv: [] });
        const lab = new Lab(ground, options, history, resource);
        try {
            await lab._begin();
            return lab;
        } catch (error) {
            await lab[Symbol.asyncDispose]();
            throw error;
        }
    }

    /** Our own connection to the only, or the first, server. */
    get client(): Redis {
        return this._client;
    }

    /** How often the servers were seen to remove somebody's holder id for another. */
    get removals(): number {
        return this._watches.reduce((sum, { removals }) => sum + removals, 0);
    }

    note(occurrence: Occurrence): void {
        this._history.note(occurrence);
    }

    /** Kills a worker. */
    async crash(worker: LabWorker): Promise<void> {
        this._history.note({ operation: 'crash', of: worker.client });
        this._crashed.push(worker.pid);
        await worker.kill();
        this._sent(worker);
    }

    /** Starts another worker in the place of one that was killed. */
    async replace(worker: LabWorker): Promise<void> {
        await worker[Symbol.asyncDispose]();
        const at = this.workers.indexOf(worker);
        const [name = '', life = '1'] = worker.client.split('.');
        this.workers[at] = await this._hire(at, `${name}.${Number(life) + 1}`);
        this.workers[at].work();
    }

    /** Another edition of the toolkit: SET NX PX and compare-and-delete, again and again, without standing in line. */
    meetForeigner(time: number): void {
        this._foreign = this._beForeign(instant() + time);
    }

    async foreignerLeft(): Promise<void> {
        await this._foreign;
        this._foreign = undefined;
    }

    /**
     * Lets all acquisitions come to their end, and looks at what is left.
     *
     * @param looks   whether it waits until nothing can be left.
     * @param stopped called when they have ended.
     */
    async quiesce(looks = true, stopped: () => void = () => undefined): Promise<void> {
        const patience = this._options.patience ?? BOUND + 5000;
        const ended = await Promise.all(this.workers.map((worker) => worker.stop(patience)));
        stopped();
        const busy = this.workers.filter((_, at) => ended[at] !== true).map(({ client }) => `${client} is still busy`);
        if (looks && busy.length > 0) this._history.note({ operation: 'left', keys: busy, commands: 0 });
        else if (looks) await this._look();
        for (const worker of this.workers) this._sent(worker);
        const told = once(this._resource, 'message');
        this._resource.send({});
        await told;
    }

    async [Symbol.asyncDispose](): Promise<void> {
        clearInterval(this._ticker);
        for (const watch of this._watches) watch[Symbol.dispose]();
        await Promise.all(this.workers.map((worker) => worker[Symbol.asyncDispose]()));
        this._client.disconnect();
        await this.foreignerLeft();
        const exit = this._resource.exitCode === null ? once(this._resource, 'exit') : undefined;
        this._resource.kill('SIGKILL');
        await exit;
        await this.ground[Symbol.asyncDispose]();
        for (const history of this._ours) history[Symbol.dispose]();
    }

    /** Whose events are written by this process. */
    private get _ours(): readonly History[] {
        return [this._history, this._foreigner];
    }

    private async _begin(): Promise<void> {
        const [message] = (await once(this._resource, 'message')) as [{ port: number }];
        this._resourcePort = message.port;
        // In a cluster the keys of others come and go with their slots.
        if (this.ground.kind !== 'cluster') {
            for (const server of this.ground.servers) {
                this._watches.push(new ServerWatch(server, PREFIX, this._history));
            }
        }
        this._history.note({ operation: 'order', localGrants: this._options.localGrants ?? 0 });
        let ticked = instant();
        this._ticker = setInterval(() => {
            const now = instant();
            const from = ticked;
            if (now - from > STILL) for (const history of this._ours) history.note({ operation: 'blocked', from }, now);
            ticked = now;
        }, TICK);
        const names = Array.from({ length: this._options.workers ?? 4 }, (_, at) => `w${at}`);
        const hired = await Promise.allSettled(names.map((name, at) => this._hire(at, name)));
        this.workers.push(...hired.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
        for (const one of hired) if (one.status === 'rejected') throw one.reason;
        for (const worker of this.workers) worker.work();
    }

    private async _hire(at: number, client: string): Promise<LabWorker> {
        const { config, proxies } = await this.ground.way(at);
        const { history, library = LIBRARY, localGrants = 0, pace, seed } = this._options;
        return LabWorker.start(
            {
                ...{ client, history, library, keys: this.keys, resource: this._resourcePort },
                ...{ shared: this.shared, permits: this._options.topology !== 'quorum' },
                config: {
                    ...{
                        'options.command_timeout': 1000,
                        'options.retry_timeout': 50,
                        'options.connect_timeout': 10_000,
                        'options.local_grants': localGrants,
                    },
                    ...config,
                    ...this._options.config,
                },
                seed: seed * 100 + at,
                pace: { ...(localGrants > 0 ? LOCAL_PACE : PACE), ...pace },
            },
            proxies,
        );
    }

    private _sent({ client, proxies }: LabWorker): void {
        if (proxies.length === 0) return;
        const commands = proxies.reduce((sum, proxy) => sum + proxy.commands, 0);
        const connections = proxies.reduce((sum, proxy) => sum + proxy.accepted, 0);
        // Of a quorum each node is asked.
        this._history.note({ operation: 'sent', of: client, commands: commands / proxies.length, connections });
    }

    private async _look(): Promise<void> {
        const servers = this.ground.servers.filter((server) => server.isRunning);
        const commands = servers.map((server) => new ServerCommands(server));
        try {
            let keys: string[] = [];
            const look = async (): Promise<boolean> => {
                keys = (await Promise.all(commands.map((one) => this._left(one)))).flat();
                return keys.length === 0;
            };
            await sleep(FOLLOWING);
            await until(look, LEAVING).catch(() => undefined);
            const count = async (): Promise<number> => {
                const counts = await Promise.all(commands.map((one) => one.scripts()));
                return counts.reduce((sum, one) => sum + one, 0);
            };
            const before = await count();
            await sleep(SILENCE);
            this._history.note({ operation: 'left', keys, commands: (await count()) - before });
        } finally {
            await Promise.all(commands.map((one) => one[Symbol.asyncDispose]()));
        }
    }

    /** Keys but for clocks, tombstones, the places in line of those who were killed, and shares: those count only beside their key. */
    private async _left(commands: ServerCommands): Promise<string[]> {
        const { client } = commands;
        if (/role:slave/.test(await client.info('replication'))) return [];
        const dead = (id: string): boolean => this._crashed.some((pid) => id.split(':').includes(String(pid)));
        const left: string[] = [];
        for (const key of await client.keys('*')) {
            if (key.endsWith(':q')) {
                if (!(await client.zrangebyscore(key, 0, '+inf')).every(dead)) left.push(key);
            } else if (key.endsWith(':w')) {
                if (!(await client.hkeys(key)).every((id) => id === 'yield' || dead(id))) left.push(key);
            } else if (!key.endsWith('clock') && !key.endsWith(':h')) left.push(key);
        }
        return left;
    }

    private async _beForeign(until_: number): Promise<void> {
        const ttl = 300;
        for (let count = 1; instant() < until_; count += 1) {
            const key = this.noise.one(this.keys);
            const [attempt, holder, from] = [`foreign-${count}`, `foreign:${count}`, instant()];
            const taken = await this._client.call('SET', key, holder, 'NX', 'PX', String(ttl)).catch(() => null);
            if (taken === null) {
                await sleep(5);
                continue;
            }
            const lease = { key, attempt, holder, fence: 0 };
            this._foreigner.note({ operation: 'grant', ...lease, held: true, deadline: from + ttl * 0.99 - 2 });
            await sleep(20);
            this._foreigner.note({ operation: 'release-start', ...lease });
            await this._client.eval(COMPARE_AND_DELETE, 1, key, holder).catch(() => undefined);
        }
    }
}

const COMPARE_AND_DELETE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0";
