import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const PAGE = readFileSync(join(__dirname, '..', '..', '..', 'docs', 'topologies.md'), 'utf8');

/** The rights that docs/topologies.md says a user needs. */
export const DOCUMENTED_RULE: readonly string[] =
    /^ACL SETUSER locks on >secret (.+)$/m.exec(PAGE)?.[1]?.split(' ') ?? [];

/** What it says that a cluster needs besides. */
export const DOCUMENTED_CLUSTER_RULE: readonly string[] =
    /In a cluster also `([^`]+)`/.exec(PAGE)?.[1]?.split(' ') ?? [];
