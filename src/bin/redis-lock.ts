#!/usr/bin/env node
import { main } from './program';

if (require.main === module) {
    // What hides the command line, where a password may be, from those who look at the processes.
    process.title = 'redis-lock';
    // Whoever reads has read enough.
    process.stdout.on('error', () => process.exit());
    void main(process.argv.slice(2)).then((code) => (process.exitCode = code));
}
