import { Script, isList } from './Script';

/** Of each command that failed: its name, and what the server said. */
export const permissionsScript = new Script('permissions', true, (answer) =>
    isList(answer) ? answer.map(String) : undefined,
);
