import { once } from 'node:events';
import { userInfo, hostname } from 'node:os';
import { createInterface } from 'node:readline/promises';
import type { RedisLock } from '../lock/RedisLock';
import { ExitCode } from './ExitCode';
import { linesOf, reportOf } from './LockReport';
import type { LockReport } from './LockReport';

export interface ReleaseOptions {
    readonly holder?: string;
    readonly force?: boolean;
    readonly yes?: boolean;
    readonly reason: string;
}

/** Gives a lock back for its holder, or takes it from its holder by force. */
export async function release(
    lock: RedisLock,
    key: string,
    { force, holder, reason, yes }: ReleaseOptions,
    say: (text: string) => void,
): Promise<number> {
    if (force !== true) {
        const done = await lock.release(null, key, holder ?? '');
        say(done ? `${key} is released` : `${key} is not held by ${holder}`);
        return done ? ExitCode.Done : ExitCode.No;
    }
    const report = reportOf(await lock.inspect(null, key));
    for (const line of linesOf(report)) say(line);
    // Only from those that were shown, never from one that got it since.
    const holders = holdersOf(report).filter((one) => holder === undefined || one === holder);
    if (holders.length === 0) return ExitCode.No;
    const whom = holders.length === 1 ? 'this holder' : `these ${holders.length} holders`;
    if (yes !== true && !(await agreed(`Take it from ${whom}, whose work may still go on? [y/N] `, say)))
        return ExitCode.No;
    const taken: string[] = [];
    for (const one of holders) {
        const why = { by: operator(), reason };
        const from = await lock.forceRelease(null, key, one === undefined ? why : { ...why, holder: one });
        if (from !== undefined) taken.push(from);
    }
    say(taken.length === 0 ? `${key} had been given back meanwhile` : `${key} was taken from ${taken.join(', ')}`);
    return taken.length === 0 ? ExitCode.No : ExitCode.Done;
}

/** Undefined: from the one that has it. Of a key that is shared that may not be known any more. */
function holdersOf({ holder, holders }: LockReport): (string | undefined)[] {
    if (holders.length > 0) return holders.map((one) => one.holder);
    return holder === null ? [] : [undefined];
}

async function agreed(question: string, say: (text: string) => void): Promise<boolean> {
    const dialogue = createInterface({ input: process.stdin, output: process.stderr });
    try {
        const none = once(dialogue, 'close').then(() => undefined);
        const answer = await Promise.race([dialogue.question(question), none]);
        if (answer !== undefined) return /^y(es)?$/i.test(answer.trim());
        say('the input ended without an answer, so nothing was done; where nobody can answer, use --yes');
        return false;
    } finally {
        dialogue.close();
    }
}

function operator(): string {
    try {
        return `${userInfo().username}@${hostname()}`;
    } catch {
        // In a container the user may have no name.
        return `somebody@${hostname()}`;
    }
}
