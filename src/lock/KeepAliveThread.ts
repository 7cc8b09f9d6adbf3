import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import type { ThreadServers } from '../connect/threadServers';
import type { ToDeputy } from '../engine/deputy/messages';
import { Pulse } from '../engine/deputy/Pulse';
import { ThreadDeputy } from '../engine/deputy/ThreadDeputy';
import { asError } from '../engine/port/errors';
import type { Clock, Timer } from '../engine/time/Clock';
import type { LockSettings } from './LockSettings';
import type { FromThread, ThreadWork, ToThread } from './threadWork';

/** The name of its program, also beside the bundle of a program that was bundled. */
const PROGRAM = 'keep-alive-thread.js';

/** How often the main thread shows that it is not blocked, ms. */
const BEAT = 100;

/** A thread that has shown nothing during this number of our beats does not work. */
const SILENT = 100;

/** How long until one that has ended is started again, ms. */
const PAUSE = 5000;

const ALONE = 'Until it works, leases are renewed by the main thread alone, as without options.keep_alive_thread.';

/**
 * The thread that renews leases while the event loop is blocked, with a connection of its own. It starts in the background. Whatever
 * happens to it is told once, as a warning: the main thread renews as it would without it. One that has ended is started again.
 */
export class KeepAliveThread {
    readonly deputy: ThreadDeputy;
    private readonly _pulse = new Pulse();
    private _worker: Worker | undefined;
    private _isClosed = false;
    /** It was told that it does not work. */
    private _isTold = false;
    private _timer: Timer | undefined;
    private _again: Timer | undefined;
    private _beats = 0;
    private _lastSeen = 0;

    constructor(
        private readonly _servers: ThreadServers,
        private readonly _settings: LockSettings,
        private readonly _clock: Clock,
        private readonly _warn: (message: string) => void,
    ) {
        this.deputy = new ThreadDeputy(_clock, (message) => this._tell(message));
    }

    start(): void {
        this._start().catch((error: unknown) => this._fell(`could not be started: ${asError(error).message}`));
    }

    async close(): Promise<void> {
        this._isClosed = true;
        this._timer?.cancel();
        this._again?.cancel();
        await this._worker?.terminate();
        this.deputy.gone();
    }

    private async _start(): Promise<void> {
        const program = findProgram();
        const logins = await this._servers.logins();
        // Not before it is needed; an import() does not work in a vm, which tests may run in.
        const { Worker } = process.getBuiltinModule('node:worker_threads');
        if (this._isClosed) return;
        const { maxBlock, ...settings } = this._settings;
        const workerData: ThreadWork = {
            kind: 'redis-lock',
            plan: this._servers.plan,
            logins,
            settings: { ...settings, renewsOnly: true, acks: 0, localGrants: 0, wait: 'poll', yieldAfter: 0 },
            pulse: this._pulse.memory,
            maxBlock,
        };
        this._pulse.beat(this._clock);
        const worker = new Worker(program, { name: 'redis-lock', execArgv: [], workerData });
        let how = 'ended';
        worker.unref();
        worker.on('message', (message: FromThread) => this._heard(message));
        worker.on('error', (error) => {
            how = `failed: ${asError(error).message}`;
        });
        worker.on('exit', () => this._fell(how));
        this._worker = worker;
        this._beats = 0;
        this.deputy.arrived();
    }

    private _tell(message: ToDeputy): void {
        // It is renewed only while we live.
        if (message.kind === 'kept' && this._timer === undefined) this._beat();
        this._send(message);
    }

    private _send(message: ToThread): void {
        this._worker?.postMessage(message);
    }

    private _heard(message: FromThread): void {
        switch (message.kind) {
            case 'lost':
                this.deputy.lost(message.row);
                break;
            case 'failed':
                this._warnOnce(`cannot connect, and tries on: ${message.message}`);
                break;
            case 'ready':
                if (this._isTold) this._warn('The keep-alive thread works now.');
                this._isTold = false;
                break;
            case 'connects':
                // Those that it was told last do, too, as long as they are right.
                this._servers.logins().then(
                    (logins) => this._send({ kind: 'logins', logins }),
                    () => undefined,
                );
        }
    }

    /** As long as something is held. */
    private _beat(): void {
        this._timer = undefined;
        if (this._isClosed || this._worker === undefined || this.deputy.size === 0) return;
        this._pulse.beat(this._clock);
        this._listen(this._worker);
        this._timer = this._clock.timer(BEAT, () => this._beat());
        this._timer.keepsAlive(false);
    }

    /** Counted in our beats: while the whole process stands still nobody shows anything. */
    private _listen(worker: Worker): void {
        const { beatsOfDeputy } = this._pulse;
        if (beatsOfDeputy !== this._lastSeen) this._beats = 0;
        this._lastSeen = beatsOfDeputy;
        this._beats += 1;
        if (this._beats !== SILENT) return;
        this._warnOnce('shows no sign of life');
        void worker.terminate();
    }

    private _fell(how: string): void {
        this._worker = undefined;
        if (this._isClosed) return;
        this.deputy.gone();
        this._warnOnce(how);
        this._again = this._clock.timer(PAUSE, () => this.start());
        this._again.keepsAlive(false);
    }

    private _warnOnce(how: string): void {
        if (this._isTold || this._isClosed) return;
        this._isTold = true;
        this._warn(`The keep-alive thread ${how.replace(/\.$/, '')}. ${ALONE}`);
    }
}

/** In a bundle it is beside that, or beside the program that runs. */
function findProgram(): string {
    const folders = [
        typeof __dirname === 'string' ? __dirname : undefined,
        process.argv[1] && dirname(process.argv[1]),
    ];
    const files = folders.filter((folder) => folder !== undefined).map((folder) => join(folder, PROGRAM));
    const file = files.find((one) => existsSync(one));
    if (file !== undefined) return file;
    const text = `there is no ${PROGRAM} beside the program. Bundle pip-services4-redis-lock-node/keep-alive-thread to it`;
    throw new Error(text);
}
