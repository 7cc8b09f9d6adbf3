import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serverVersion } from '../fixtures/serverVersion';

const PAGE = readFileSync(join(__dirname, '..', '..', '..', 'docs', 'topologies.md'), 'utf8');

/** The rights that docs/topologies.md says a user needs. */
export const DOCUMENTED_RULE: readonly string[] =
    /^ACL SETUSER locks on >secret (.+)$/m.exec(PAGE)?.[1]?.split(' ') ?? [];

const [, ANY_CLUSTER = '', SHARDED_CHANNELS = ''] =
    /In a cluster also `([^`]+)`, and from version 7\.0 on `([^`]+)`/.exec(PAGE) ?? [];

/** What it says that a cluster needs besides. */
export function documentedClusterRule(): readonly string[] {
    const [major] = serverVersion();
    return [ANY_CLUSTER, ...(major < 7 ? [] : [SHARDED_CHANNELS])].flatMap((rule) => rule.split(' '));
}
