/* SPDX-License-Identifier: Apache-2.0
 *
 * echo: answers each line from its TTY with "echo: " and the same line. The line "exit" ends it.
 */
#include "runtime.h"

#define LONGEST 80

/* Reads a line, without its end; what is too long is dropped. -1: the TTY is gone. */
static int read_line(char *line)
{
	int length = 0;
	for (;;) {
		int byte = bv_getc();
		if (byte < 0)
			return -1;
		if (byte == '\n' || byte == '\r')
			break;
		if (length < LONGEST)
			line[length++] = (char)byte;
	}
	line[length] = '\0';
	return length;
}

static int is_exit(const char *line)
{
	const char *word = "exit";
	while (*word && *line == *word)
		line++, word++;
	return *word == *line;
}

int main(void)
{
	if (!bv_is_first())
		return 0;
	char line[LONGEST + 1];
	bv_printf("echo: ready\n");
	while (read_line(line) >= 0 && !is_exit(line))
		bv_printf("echo: %s\n", line);
	return 0;
}
