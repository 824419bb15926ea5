/* How many frames take longer than a time: a line for each policy, the number on a logarithmic
 * scale, so that the rare late frame is seen. */
#include <math.h>

#include "report.h"

#define WIDTH 760
#define HEIGHT 420
#define LEFT 70.0
#define RIGHT 600.0
#define TOP 40.0
#define BOTTOM 370.0
#define MS_MAX 70.0
#define DECADES 6.0

static const char *const colours[] = {
	"#0b6e4f", "#c1121f", "#e07a00", "#8338ec", "#3a86ff", "#6c757d", "#b5179e", "#7f5539"};

static double x_of(double ms)
{
	return LEFT + (RIGHT - LEFT) * (ms < MS_MAX ? ms / MS_MAX : 1);
}

static double y_of(double above) /* the part of all frames */
{
	double decades = above > 0 ? -log10(above) : DECADES;

	return TOP + (BOTTOM - TOP) * (decades < DECADES ? decades / DECADES : 1);
}

static void axes(FILE *out, double deadline_ms, double bound_ms)
{
	for (int ms = 0; ms <= (int)MS_MAX; ms += 5)
		fprintf(out,
			"<line x1='%.1f' y1='%.0f' x2='%.1f' y2='%.0f' stroke='#ddd'/>"
			"<text x='%.1f' y='%.0f' text-anchor='middle'>%d</text>\n",
			x_of(ms), TOP, x_of(ms), BOTTOM, x_of(ms), BOTTOM + 18, ms);
	for (int d = 0; d <= (int)DECADES; d++)
		fprintf(out,
			"<line x1='%.0f' y1='%.1f' x2='%.0f' y2='%.1f' stroke='#ddd'/>"
			"<text x='%.0f' y='%.1f' text-anchor='end'>%s%d</text>\n",
			LEFT, y_of(pow(10, -d)), RIGHT, y_of(pow(10, -d)), LEFT - 8,
			y_of(pow(10, -d)) + 4, d ? "10^-" : "", d ? d : 1);
	fprintf(out,
		"<text x='%.0f' y='%.0f' text-anchor='middle'>response of a cluster frame, "
		"ms</text>\n",
		(LEFT + RIGHT) / 2, BOTTOM + 38);
	fprintf(out,
		"<line x1='%.1f' y1='%.0f' x2='%.1f' y2='%.0f' stroke='#000' "
		"stroke-dasharray='4 3'/><text x='%.1f' y='%.0f'>D</text>\n",
		x_of(deadline_ms), TOP, x_of(deadline_ms), BOTTOM, x_of(deadline_ms) + 4, TOP + 12);
	if (bound_ms > 0)
		fprintf(out,
			"<line x1='%.1f' y1='%.0f' x2='%.1f' y2='%.0f' stroke='#0b6e4f' "
			"stroke-dasharray='4 3'/><text x='%.1f' y='%.0f'>R</text>\n",
			x_of(bound_ms), TOP, x_of(bound_ms), BOTTOM, x_of(bound_ms) + 4, TOP + 12);
}

static void line(FILE *out, const struct bn_histogram *h, unsigned i, const char *name)
{
	const char *colour = colours[i % (sizeof(colours) / sizeof(*colours))];

	fprintf(out, "<polyline fill='none' stroke='%s' stroke-width='%s' points='", colour,
		i == 0 ? "3" : "1.5");
	for (double above = 1; above > 0.9 / (double)h->count && above > 1e-7; above *= 0.9) {
		double ms = (double)bn_histogram_quantile(h, 1 - above) / 1e6;

		fprintf(out, "%.1f,%.1f ", x_of(ms), y_of(above));
		if (ms >= MS_MAX)
			break;
	}
	if ((double)h->max_ns / 1e6 < MS_MAX)
		fprintf(out, "%.1f,%.1f", x_of((double)h->max_ns / 1e6),
			y_of(1.0 / (double)h->count));
	fprintf(out, "'/><text x='%.0f' y='%.0f' fill='%s'>%s%s</text>\n", RIGHT + 16,
		TOP + 14 + 20 * i, colour, name,
		(double)bn_histogram_quantile(h, 0.01) / 1e6 >= MS_MAX ? " (longer)" : "");
}

/* The scenario that is nearest to what guests do: nobody cuts for the rivals. */
static unsigned chosen(const struct report *r)
{
	unsigned first = psim_scenario_count - 1;

	for (unsigned s = psim_scenario_count; s-- > 0;) {
		if (report_cell(r, s, 0)->events == 0)
			continue;
		first = s;
		if (psim_scenarios[s].guests[1].uncut.max > 0)
			break;
	}
	return first;
}

void report_plot(FILE *out, const struct report *r, const struct report_options *o)
{
	unsigned s = chosen(r);

	fprintf(out,
		"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' "
		"height='%d' font-family='sans-serif' font-size='12'>\n"
		"<rect width='100%%' height='100%%' fill='#fff'/>\n"
		"<text x='%.0f' y='22' font-size='13'>Part of frames that take longer (simulated; "
		"%s)</text>\n",
		WIDTH, HEIGHT, WIDTH, HEIGHT, 20.0, psim_scenarios[s].what);
	axes(out, (double)report_cell(r, s, 0)->frames[0].deadline / 1e6,
		(double)report_cell(r, s, 0)->frames[0].bound / 1e6);
	for (unsigned p = r->policies; p-- > 0;)
		line(out, &report_cell(r, s, p)->frames[0].response, p, psim_policies[p]->name);
	fputs("</svg>\n", out);
}
