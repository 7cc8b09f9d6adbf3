local is_held = current == holder
