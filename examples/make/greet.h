const char *greeting(void);
int one(void);
int two(void);
