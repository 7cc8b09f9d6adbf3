import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { codeOf } from '../engine/port/errors';
import { ExitCode } from './ExitCode';

/** A command in a process group of its own, so that a signal reaches all that it started, and reaches it once. */
export class ProcessGroup {
    /** The exit code, as a shell has it. */
    readonly ended: Promise<number>;
    /** Why there is no command. */
    error: string | undefined;
    private readonly _id: number | undefined;

    constructor([name = '', ...args]: readonly string[], env: NodeJS.ProcessEnv) {
        const child = spawn(name, args, { env, stdio: 'inherit', detached: true });
        this._id = child.pid;
        this.ended = new Promise((resolve) => {
            child.once('error', (error) => {
                this.error = `cannot run ${name}: ${codeOf(error)}`;
                resolve(codeOf(error) === 'ENOENT' ? ExitCode.NotFound : ExitCode.CannotRun);
            });
            child.once('exit', (code, signal) => resolve(code ?? exitCodeOfSignal(signal)));
        });
    }

    send(signal: NodeJS.Signals): void {
        if (this._id === undefined) return;
        try {
            process.kill(-this._id, signal);
        } catch {
            // It is over already.
        }
    }
}

/** The exit code of a process that was ended by a signal, as a shell has it. */
export function exitCodeOfSignal(signal: NodeJS.Signals | null): number {
    return ExitCode.Signal + (signal === null ? 0 : constants.signals[signal]);
}
