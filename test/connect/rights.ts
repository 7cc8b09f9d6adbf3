import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const README = readFileSync(join(__dirname, '..', '..', '..', 'README.md'), 'utf8');

/** The rights that the README says a user needs. */
export const README_RULE: readonly string[] =
    /^ACL SETUSER locks on >secret (.+)$/m.exec(README)?.[1]?.split(' ') ?? [];

/** What it says that a cluster needs besides. */
export const README_CLUSTER_RULE: readonly string[] = /In a cluster also `([^`]+)`/.exec(README)?.[1]?.split(' ') ?? [];
