import { Script, isList } from './Script';

/** The names of the commands that the user may not run. */
export const permissionsScript = new Script('permissions', true, (answer) =>
    isList(answer) ? answer.map(String) : undefined,
);
