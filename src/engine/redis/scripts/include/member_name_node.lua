local member = string.gsub(id, '#%d+:$', ':')
