import { ScriptError } from '../scripts/Script';
import { permissionsScript } from '../scripts/permissions';
import type { RedisConnection } from './RedisConnection';
import { wordOf } from './serverWords';

/**
 * The commands of scripts that the user may not run.
 *
 * @param keys of a lock, and its clock.
 * @throws LockError, ScriptError
 */
export async function missingRights(
    connection: RedisConnection,
    keys: readonly string[],
    clock: string,
): Promise<string[]> {
    const items = [{ keys, args: [] }];
    const [answer = []] = await connection.send((client) => permissionsScript.run(client, items, { clock }));
    if (answer instanceof ScriptError) throw answer;
    return refusedIn(answer);
}

/** The commands that failed because a right is missing. @param failed each with its name and the answer of the server. */
export function refusedIn(failed: readonly string[]): string[] {
    return failed.filter((_, at) => at % 2 === 0 && wordOf(failed[at + 1] ?? '') === 'NOPERM');
}
