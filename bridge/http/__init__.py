"""What other programs speak over HTTP: speech, transcripts and chats as OpenAI's API has them, and announcements."""
