import type { Redis } from 'ioredis';
import { LockError } from '../../port/errors';
import { permissionsScript } from '../scripts/permissions';
import { ScriptError } from '../scripts/Script';
import { isReply } from './replies';
import { bareText, wordOf } from './serverWords';

/** A hash that no script has. */
const NO_SCRIPT = '0'.repeat(40);

/**
 * Tries what every lock needs, so that a lack of it is told by `open`, and not by the first call.
 *
 * @param keys the keys of a lock that nobody uses. Nothing is written.
 * @returns warnings for those who run the server.
 * @throws LockError NO_PERMISSION, NOT_SUPPORTED
 */
export async function tryEssentials(client: Redis, keys: readonly string[], clock: string): Promise<string[]> {
    const [key = clock] = keys;
    const [byText, byHash] = await Promise.all([
        refusalOf(client.eval('return 1', 1, key)),
        refusalOf(client.evalsha(NO_SCRIPT, 1, key)),
    ]);
    if (byText !== undefined) throw switchedOff('EVAL', byText);
    const refused = await refusedCommands(client, keys, clock);
    const [first] = refused;
    if (first !== undefined) throw switchedOff(refused.map(({ command }) => command).join(', '), first.text);
    if (byHash === undefined) return [];
    return [`The server refuses EVALSHA, so that each call sends its whole script by EVAL: ${byHash}`];
}

/** The commands of scripts that are always refused, whatever the key. */
async function refusedCommands(
    client: Redis,
    keys: readonly string[],
    clock: string,
): Promise<readonly { readonly command: string; readonly text: string }[]> {
    const [answer = []] = await permissionsScript.run(client, [{ keys, args: [] }], { clock }).catch(() => []);
    if (answer instanceof ScriptError) return [];
    return answer.flatMap((command, at) => {
        const text = answer[at + 1] ?? '';
        return at % 2 === 0 && isLasting(text) ? [{ command, text: bareText(text) }] : [];
    });
}

/** The lasting refusal of a command. Undefined: it is done, or refused for another reason. */
function refusalOf(answer: Promise<unknown>): Promise<string | undefined> {
    return answer.then(
        () => undefined,
        (error: unknown) => {
            if (!isReply(error)) throw error;
            return isLasting(error.message) ? bareText(error.message) : undefined;
        },
    );
}

/** The command is not known, or the user may not run it. A right to a key is another matter. */
function isLasting(text: string): boolean {
    const word = wordOf(text);
    return (
        (word === 'UNKNOWN' && /\b(unknown|unsupported|not)\b/i.test(text)) ||
        (word === 'NOPERM' && /\brun\b/.test(text))
    );
}

function switchedOff(commands: string, said: string): LockError {
    if (wordOf(said) === 'NOPERM') {
        const text = `The Redis user may not run ${commands}, which a lock needs: ${said}`;
        return new LockError('NO_PERMISSION', text);
    }
    const text = `The server does not know ${commands}, which a lock needs; perhaps it was renamed: ${said}`;
    return new LockError('NOT_SUPPORTED', text);
}
