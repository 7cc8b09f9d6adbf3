import type { Lease } from '../engine/lease/Lease';
import { SECRETS } from './connection';
import { ProcessGroup } from './ProcessGroup';

export interface GuardOptions {
    readonly signalOnLoss: NodeJS.Signals;
    /** How long the command may go on after that signal. */
    readonly killAfter: number;
}

/** A command that runs while a lock is held, and is ended when that is lost. */
export class GuardedCommand {
    /** Its exit code, as a shell has it; undefined: the lock was lost, and nothing of the command is left. */
    readonly ended: Promise<number | undefined>;
    private readonly _group: ProcessGroup;

    /** Starts it. @param _say tells the user something. */
    constructor(
        command: readonly string[],
        private readonly _lease: Lease,
        private readonly _options: GuardOptions,
        private readonly _say: (text: string) => void,
    ) {
        this._group = new ProcessGroup(command, environmentOf(_lease));
        this.ended = this._guard();
    }

    /** Passes a signal on to all that the command has started. */
    send(signal: NodeJS.Signals): void {
        this._group.send(signal);
    }

    private async _guard(): Promise<number | undefined> {
        const { key, signal } = this._lease;
        const { killAfter, signalOnLoss } = this._options;
        let killer: NodeJS.Timeout | undefined;
        const lost = (): void => {
            this._say(`the lock on ${key} was lost; the command gets ${signalOnLoss}`);
            this._group.send(signalOnLoss);
            killer = setTimeout(() => this._group.send('SIGKILL'), killAfter);
        };
        signal.addEventListener('abort', lost, { once: true });
        if (signal.aborted) lost();
        const code = await this._group.ended;
        signal.removeEventListener('abort', lost);
        clearTimeout(killer);
        if (this._group.error !== undefined) this._say(this._group.error);
        if (!signal.aborted) return code;
        // Nothing that the command started may go on without the lock.
        this._group.send('SIGKILL');
        return undefined;
    }
}

function environmentOf({ fence, holder, key }: Lease): NodeJS.ProcessEnv {
    const environment: NodeJS.ProcessEnv = { ...process.env };
    for (const name of SECRETS) delete environment[name];
    return { ...environment, REDIS_LOCK_KEY: key, REDIS_LOCK_HOLDER: holder, REDIS_LOCK_FENCE: String(fence) };
}
