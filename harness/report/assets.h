/* The style and the script of index.html, as they stand in page.css and page.js. */
#ifndef REJOIN_REPORT_ASSETS_H
#define REJOIN_REPORT_ASSETS_H

extern const char report_page_css[];
extern const char report_page_js[];

#endif
