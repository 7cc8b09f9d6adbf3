import { Script } from './Script';

/** Whether the node has the fence now. */
export const raiseScript = new Script('raise', true, (answer) =>
    answer === 0 || answer === 1 ? answer === 1 : undefined,
);
