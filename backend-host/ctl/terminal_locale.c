#include <langinfo.h>
#include <string.h>

#include "terminal.h"

bool bn_terminal_is_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}
