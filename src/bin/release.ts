import { once } from 'node:events';
import { userInfo, hostname } from 'node:os';
import { createInterface } from 'node:readline/promises';
import type { RedisLock } from '../lock/RedisLock';
import { ExitCode } from './ExitCode';
import { linesOf, reportOf } from './LockReport';

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
    if (report.holder === null || (holder !== undefined && holder !== report.holder)) return ExitCode.No;
    if (yes !== true && !(await agreed('Take it from this holder, whose work may still go on? [y/N] ', say)))
        return ExitCode.No;
    // Only from the holder that was shown, never from one that got it since.
    const from = await lock.forceRelease(null, key, { by: operator(), reason, holder: report.holder });
    say(from === undefined ? `${key} had been given back meanwhile` : `${key} was taken from ${from}`);
    return from === undefined ? ExitCode.No : ExitCode.Done;
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
